"""Every format: found where it stands, not found when it is one character short or glued to a word.

The values are made at run time, so that no scanner takes this file for a leak. Two sources: for every rule the tree of
its pattern, and for the best known services a template written by hand from their documentation.
"""

import base64
import json
import random
import string
import zlib

import pytest

from guardrails.detector import Match
from guardrails.matching.syntax import parse
from guardrails.secrets import checks
from guardrails.secrets.detector import services
from guardrails.secrets.heads import has_blank
from guardrails.secrets.rules import Assigned, Token, assigned, tokens
from tests.guardrails.secrets.conftest import Scan
from tests.support.regex_samples import sample

ALPHABETS = {
    "A": string.ascii_letters + string.digits,
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "d": string.digits,
    "a": string.ascii_lowercase + string.digits,
    "U": string.ascii_uppercase + string.digits,
    "w": string.ascii_letters + string.digits + "_-",
    "b": string.ascii_letters + string.digits + "+/",
    "L": string.ascii_letters,
    "2": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
}
TEMPLATES = """
openai.project-key sk-proj- w156
openai.legacy-key sk- A48
anthropic.api-key sk-ant-api03- w93 AA
openrouter.api-key sk-or-v1- h64
groq.api-key gsk_ A52
huggingface.user-token hf_ L34
replicate.api-token r8_ A37
perplexity.api-key pplx- A48
xai.api-key xai- A80
nvidia.api-key nvapi- w64
langsmith.api-key lsv2_pt_ h32 _ h10
databricks.token dapi h32
pinecone.api-key pcsk_ A5 _ A63
aws.access-key-id AKIA 216
aws.access-key-id ASIA 216
google.api-key AIza w35
google.oauth-client-secret GOCSPX- w28
azure.storage-key AccountKey= b86 ==
digitalocean.personal-token dop_v1_ h64
alibaba.access-key-id LTAI A20
hashicorp.vault-service-token hvs. w95
terraform.cloud-token A14 .atlasv1. A64
pulumi.access-token pul- h40
doppler.token dp.pt. A43
tailscale.key tskey-auth- A12 CNTRL- A32
supabase.management-token sbp_ h40
planetscale.token pscale_tkn_ A43
github.oauth-token gho_ A36
github.fine-grained-token github_pat_ A22 _ A59
gitlab.personal-token glpat- w20
gitlab.runner-token glrt- w20
bitbucket.app-password ATBB A24 H8
atlassian.api-token ATATT3xFfG w180
npm.access-token npm_ A36
pypi.upload-token pypi-AgEIcHlwaS5vcmc w150
rubygems.api-key rubygems_ h48
docker.personal-token dckr_pat_ w27
sonar.token squ_ h40
postman.api-key PMAK- h24 - h34
buildkite.agent-token bkaj_ h40
circleci.personal-token CCIPAT_ A22 _ h40
linear.api-key lin_api_ A40
newrelic.user-key NRAK- U27
grafana.service-account-token glsa_ A32 _ h8
sentry.user-token sntryu_ h64
dynatrace.api-token dt0c01. U24 . U64
stripe.secret-key sk_live_ A24
stripe.secret-key sk_live_51 A97
stripe.restricted-key rk_live_ A24
stripe.webhook-secret whsec_ A32
square.access-token sq0atp- w22
shopify.access-token shpat_ h32
razorpay.key-id rzp_live_ A14
braintree.access-token access_token$production$ a16 $ h32
flutterwave.secret-key FLWSECK_TEST- h32 -X
slack.bot-token xoxb- d12 - d13 - A24
slack.user-token xoxp- d12 - d12 - d13 - h32
slack.app-token xapp-1-A U10 - d13 - h64
slack.webhook https://hooks.slack.com/services/T U8 /B U8 / A24
discord.bot-token M A25 . A6 . w38
discord.webhook https://discord.com/api/webhooks/ d18 / w68
telegram.bot-token d10 :AA w33
twilio.api-key SK h32
sendgrid.api-key SG. w22 . w43
mailgun.private-key key- h32
mailchimp.api-key h32 -us12
brevo.api-key xkeysib- h64 - A16
facebook.access-token EAACEdEose0cBA A100
hubspot.private-app-token pat-na1- h8 - h4 - h4 - h4 - h12
notion.token ntn_ A46
airtable.personal-token pat A14 . h64
figma.token figd_ w40
mapbox.secret-token sk.eyJ w80 . w22
"""


def key(rule: Token | Assigned, chance: random.Random) -> str:
    pattern = rule.pattern if isinstance(rule, Token) else rule.value
    return sample(parse(pattern), chance)


def jwt(chance: random.Random, alg: str = "HS256") -> str:
    parts = [json.dumps(p).encode() for p in ({"alg": alg, "typ": "JWT"}, {"sub": str(chance.random()), "iat": 1})]
    signature = "".join(chance.choices(ALPHABETS["w"], k=43))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), signature])


def rules_in(found: list[Match]) -> set[str]:
    return {match.rule for match in found}


def test_at_least_150_services_are_known() -> None:
    assert len(services()) >= 250


def test_no_token_holds_a_blank() -> None:
    """What `settled` builds on: a token lies in one run of characters without a blank."""
    assert [rule.id for rule in tokens() if has_blank(rule.pattern)] == []


@pytest.mark.parametrize("rule", [rule for rule in tokens() if rule.check != "jwt"], ids=lambda rule: rule.id)
def test_token(rule: Token, scan: Scan) -> None:
    """Found in prose, in code and after a letter beyond ASCII; not when cut by one or when part of a word."""
    chance = random.Random(rule.id)
    value = key(rule, chance)
    for _ in range(100):
        if checks.random_looking(value[8:]) and not checks.placeholder(value):
            break
        value = key(rule, chance)
    for text in (value, f"use {value}, please", f'x = "{value}"', f"clé:é{value}\n"):
        assert any(match.rule == rule.id and match.end - match.start >= len(value) - 60 for match in scan(text)), text
    if value[0].isalnum():
        assert rule.id not in rules_in(scan(f"a{value}"))
    assert rule.id not in rules_in(scan(value[:-1] if value[-1] != "X" else value[:-2]))


@pytest.mark.parametrize("line", TEMPLATES.strip().splitlines(), ids=lambda line: line.split()[0])
def test_documented_shape(line: str, scan: Scan) -> None:
    name, *parts = line.split()
    chance = random.Random(line)
    value = ""
    for part in parts:
        kind, count = part[0], part[1:]
        value += (
            "".join(chance.choices(ALPHABETS[kind], k=int(count))) if count.isdigit() and kind in ALPHABETS else part
        )
    text = f"token: {value}\nnext"
    found = [match for match in scan(text) if match.rule == f"secret.{name}"]
    assert len(found) == 1, (value, scan(text))
    assert text[found[0].start : found[0].end] in value


@pytest.mark.parametrize("rule", assigned(), ids=lambda rule: rule.id)
def test_assigned(rule: Assigned, scan: Scan) -> None:
    """Found under the service's name, and what is masked is the value; not under a name without a promise."""
    chance = random.Random(rule.id)
    service = sample(parse(rule.names.split("|")[-1].replace(r"\b", "")), chance)
    value = key(rule, chance)
    for _ in range(100):
        if checks.entropy(value) >= checks.LEAST_BITS and not checks.placeholder(value) and value[-1] not in ".!^*":
            break
        value = key(rule, chance)
    name = service.strip("_") + "_api_key"
    for text in (
        f'{name} = "{value}"',
        f"{name.upper()}={value}\n",
        f"- {name.replace('_', '-')}: {value}",
        f'{{"{name}":"{value}"}}',
    ):
        if not set(value) & set("(){}[]<>,;&|"):
            found = {match.rule: text[match.start : match.end] for match in scan(text)}
            assert found.get(rule.id) == value, (text, found)
    assert rule.id not in rules_in(scan(f"label = {value}"))
    assert rule.id not in rules_in(scan(f"{name} = {value[:-1]}")) if "{8," not in rule.value else True


def test_github_checksum_makes_sure(scan: Scan) -> None:
    """The last six characters are the CRC-32 of the thirty before, in base 62; without that it is less certain."""
    body = "".join(random.Random(3).choices(ALPHABETS["A"], k=30))
    digits, rest = "", zlib.crc32(body.encode())
    while rest:
        rest, digit = divmod(rest, 62)
        digits = (string.digits + string.ascii_uppercase + string.ascii_lowercase)[digit] + digits
    good, bad = scan(f"ghp_{body}{digits.rjust(6, '0')}"), scan(f"ghp_{body}aaaaaZ")
    assert [(m.evidence, m.score) for m in good + bad] == [("checksum", 0.99), ("pattern", 0.7)]


def test_json_web_token(scan: Scan) -> None:
    token = jwt(random.Random(1))
    assert rules_in(scan(f"Authorization: Bearer {token}")) == {"secret.jwt.token"}
    header, _, rest = token.partition(".")
    other = base64.urlsafe_b64encode(b'{"typ": "nothing"}').decode()
    assert rules_in(scan(f"{other}.{rest}")) == set()
    assert rules_in(scan(f"{header}.{rest.partition('.')[0]}")) == set()
