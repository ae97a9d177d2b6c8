# The gateway as an image. Build: docker build -t tollway .    Run: docs/deploy.md
# For a release pin the base by digest: --build-arg PYTHON=3.12-slim@sha256:…
ARG PYTHON=3.12-slim

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
RUN python -m venv /opt/tollway
ENV PATH=/opt/tollway/bin:$PATH
WORKDIR /src
# The lock is a constraint here, so that the demo's SDKs stay out while every version is as tested. Dependencies have a
# layer of their own: it is made again only when they change.
COPY requirements.lock pyproject.toml ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    print(*p['dependencies'], *p['optional-dependencies']['postgres'], sep='\n')" > wanted.txt \
    && pip install --constraint requirements.lock setuptools --requirement wanted.txt
COPY README.md LICENSE ./
COPY gateway gateway
COPY guardrails guardrails
COPY pricing pricing
COPY loadtest loadtest
RUN pip install --no-deps --no-build-isolation . \
    && pip uninstall --yes setuptools pip \
    && python -m compileall -q /opt/tollway/lib

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="Tollway" \
      org.opencontainers.image.description="An LLM gateway: one road between applications and model providers" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/tollway/bin:$PATH TOLLWAY_CONFIG=/etc/tollway/gateway.yaml \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/tollway /opt/tollway
# Journal and SQLite live in var/ below the working directory. The user is a number, so that Kubernetes can see it is
# not root.
WORKDIR /srv/tollway
RUN install -d -o 10001 -g 10001 -m 0750 /srv/tollway/var
USER 10001:10001
VOLUME /srv/tollway/var
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["tollway"]
CMD ["serve", "--config", "/etc/tollway/gateway.yaml", "--host", "0.0.0.0", "--port", "8080"]
