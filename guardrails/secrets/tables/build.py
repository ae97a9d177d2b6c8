"""Token formats of code hosting, packages, continuous integration and monitoring."""

from guardrails.secrets.rules import table

TOKENS = table(r"""
github.personal-token         ghp_[A-Za-z0-9]{36}                       github
github.oauth-token            gho_[A-Za-z0-9]{36}                       github
github.user-token             ghu_[A-Za-z0-9]{36}                       github
github.installation-token     ghs_[A-Za-z0-9]{36}                       github
github.refresh-token          ghr_[A-Za-z0-9]{36,76}                    github
github.fine-grained-token     github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}
gitlab.personal-token         glpat-[A-Za-z0-9_-]{20,22}
gitlab.routable-token         glpat-[A-Za-z0-9_-]{27,300}\.[0-9a-z]{2}[.0-9a-z]{7,9}
gitlab.trigger-token          glptt-[0-9a-f]{40}
gitlab.deploy-token           gldt-[A-Za-z0-9_-]{20,50}
gitlab.runner-token           glrt-[A-Za-z0-9_-]{20,50}
gitlab.feed-token             glft-[A-Za-z0-9_-]{20,64}
gitlab.incoming-mail-token    glimt-[A-Za-z0-9_-]{25}
gitlab.agent-token            glagent-[A-Za-z0-9_-]{50}
gitlab.oauth-secret           gloas-[A-Za-z0-9_-]{64}
gitlab.scim-token             glsoat-[A-Za-z0-9_-]{20,50}
gitlab.job-token              glcbt-[A-Za-z0-9]{1,5}_[A-Za-z0-9_-]{20}
gitlab.registration-token     GR1348941[A-Za-z0-9_-]{20}
bitbucket.app-password        ATBB[A-Za-z0-9]{24}[0-9A-F]{8}
bitbucket.access-token        ATCTT3xFfG[A-Za-z0-9+/=_-]{60,300}
atlassian.api-token           ATATT3xFfG[A-Za-z0-9+/=_-]{60,300}
sourcegraph.token             sgp_(?:[0-9a-f]{16}_|local_)?[0-9a-f]{40}
sourcegraph.dotcom-token      sgd_[0-9a-f]{64}
npm.access-token              npm_[A-Za-z0-9]{36}                       github
pypi.upload-token             pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,1000}
pypi.test-upload-token        pypi-AgENdGVzdC5weXBpLm9yZw[A-Za-z0-9_-]{50,1000}
rubygems.api-key              rubygems_[0-9a-f]{48}
crates.token                  cio[A-Za-z0-9]{32}
nuget.api-key                 oy2[a-z2-7]{43}
docker.personal-token         dckr_pat_[A-Za-z0-9_-]{27}
docker.organization-token     dckr_oat_[A-Za-z0-9_-]{32}
jfrog.api-key                 AKCp[58][A-Za-z0-9]{66,70}
jfrog.reference-token         cmVmdGtu[A-Za-z0-9]{56}
clojars.deploy-token          CLOJARS_[0-9a-f]{60}
packagist.token               packagist_(?:ort|ack|acs|uut)_[0-9a-f]{64}
sonar.token                   sq[pau]_[0-9a-f]{40}
infracost.api-key             ico-[A-Za-z0-9]{32}
postman.api-key               PMAK-[0-9a-f]{24}-[0-9a-f]{34}
readme.api-key                rdme_[a-z0-9]{70}
buildkite.user-token          bkua_[0-9a-f]{40}
buildkite.agent-token         bkaj_[0-9a-f]{40}
circleci.personal-token       CCIPAT_[A-Za-z0-9]{22}_[0-9a-f]{40}
circleci.project-token        CCIPRJ_[A-Za-z0-9]{22}_[0-9a-f]{40}
teamcity.access-token         eyJ0eXAiOiAiVENWMiJ9\.[A-Za-z0-9_-]{36}\.[A-Za-z0-9_-]{48}
harness.access-token          [ps]at\.[A-Za-z0-9_-]{22}\.[0-9a-f]{24}\.[A-Za-z0-9]{20}
octopus.api-key               API-[A-Z0-9]{25,27}
expo.access-token             expo_[A-Za-z0-9_-]{40}
snyk.service-token            snyk_(?:uat|sat)\.[0-9a-f]{8}\.[A-Za-z0-9_-]{40,400}
semgrep.app-token             sgp_sg_[0-9a-f]{64}
linear.api-key                lin_api_[A-Za-z0-9]{40}
linear.oauth-token            lin_oauth_[0-9a-f]{64}
newrelic.user-key             NRAK-[A-Z0-9]{27}
newrelic.insert-key           NRII-[A-Za-z0-9_-]{32}
newrelic.query-key            NRIQ-[A-Za-z0-9_-]{32}
newrelic.browser-key          NRJS-[0-9a-f]{19}
newrelic.license-key          [0-9a-f]{36}(?:FFFF)?NRAL
grafana.cloud-token           glc_eyJ[A-Za-z0-9+/]{60,400}={0,3}
grafana.service-account-token glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}
grafana.api-key               eyJrIjoi[A-Za-z0-9]{70,400}={0,3}
sentry.org-token              sntrys_eyJ[A-Za-z0-9+/]{80,300}={0,2}_[A-Za-z0-9+/]{43}
sentry.user-token             sntryu_[0-9a-f]{64}
sentry.integration-token      sntry[ai]_[0-9a-f]{64}
honeycomb.ingest-key          hc[abx]ik_[a-z0-9]{58}
honeycomb.management-key      hcamk_[a-z0-9]{26}:[A-Za-z0-9]{32}
dynatrace.api-token           dt0[a-z]\d{2}\.[A-Z0-9]{8,24}\.[A-Z0-9]{64}
posthog.personal-key          phx_[A-Za-z0-9_-]{40,50}
launchdarkly.sdk-key          sdk-<uuid>
launchdarkly.api-token        api-<uuid>
uptimerobot.api-key           u\d{6,9}-[0-9a-f]{24}
checkly.api-key               cu_[0-9a-f]{32}
apify.api-token               apify_api_[A-Za-z0-9]{36}
scalr.token                   at-[a-z0-9]{16}\.[A-Za-z0-9_-]{43}
lightstep.token               lst_[A-Za-z0-9]{40}
rollbar.account-token         rbar_[0-9a-f]{64}
axiom.api-token               xa[ap]t-<uuid>
pagerduty.api-key             pdus\+[A-Za-z0-9_+-]{20,40}
""")
