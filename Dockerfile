# syntax=docker/dockerfile:1
# One image for every process of the store: `agent-store serve …`, `steward`, `operator`, `migrate`, `tick`.
# Nothing in here depends on the processor: it builds for linux/amd64 and linux/arm64. See docs/image.md.

# Give a digest to pin the base: --build-arg PYTHON_IMAGE=docker.io/library/python@sha256:…
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
ARG UV_IMAGE=ghcr.io/astral-sh/uv:0.13.8

FROM ${UV_IMAGE} AS uv

FROM ${PYTHON_IMAGE} AS build
COPY --from=uv /uv /usr/local/bin/uv
ENV UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_NO_PROGRESS=1 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /src

# What the lock file says, with its hashes, and its list of materials. `--locked` fails when the lock is stale.
COPY pyproject.toml uv.lock ./
RUN uv export --quiet --locked --offline --no-dev --no-emit-project --format requirements.txt --output-file /requirements.txt \
    && mkdir -p /share/usr/share/doc/agent-store \
    && uv export --quiet --locked --offline --no-dev --format cyclonedx1.5 --output-file /share/usr/share/doc/agent-store/sbom.cdx.json

# The libraries. Wheels only: a library without one for this processor stops the build, no compiler is looked for.
# Where PyPI is reached by a mirror or through a proxy with its own certificate, both come in as build secrets, which
# leave no trace in the image. Bytecode is valid by itself, not by the time of a file, so layers may be rewritten.
RUN --mount=type=secret,id=uv-config --mount=type=secret,id=ca-bundle \
    if [ -s /run/secrets/uv-config ]; then export UV_CONFIG_FILE=/run/secrets/uv-config; fi \
    && if [ -s /run/secrets/ca-bundle ]; then export SSL_CERT_FILE=/run/secrets/ca-bundle; fi \
    && uv venv --quiet --no-config --python python3 /opt/agent-store \
    && uv pip sync --require-hashes --only-binary :all: --python /opt/agent-store/bin/python /requirements.txt \
    && /opt/agent-store/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/agent-store/lib \
    && mkdir -p /share/opt/agent-store/bin \
    && cp -a /opt/agent-store/pyvenv.cfg /share/opt/agent-store/ \
    && cp -a /opt/agent-store/bin/python* /share/opt/agent-store/bin/

FROM build AS project
COPY hack/build-requirements.txt README.md LICENSE ./
COPY data data
COPY prompts prompts
COPY src src
# The wheel, built by the pinned build tool, laid out as a tree of its own: a changed program is one small layer.
RUN --mount=type=secret,id=uv-config --mount=type=secret,id=ca-bundle \
    if [ -s /run/secrets/uv-config ]; then export UV_CONFIG_FILE=/run/secrets/uv-config; fi \
    && if [ -s /run/secrets/ca-bundle ]; then export SSL_CERT_FILE=/run/secrets/ca-bundle; fi \
    && uv build --quiet --wheel --build-constraints build-requirements.txt --require-hashes --python python3 --out-dir /dist \
    && uv pip install --quiet --offline --no-deps --python /opt/agent-store/bin/python --prefix /project/opt/agent-store /dist/*.whl \
    && rm -f /project/opt/agent-store/.lock \
        /project/opt/agent-store/lib/python3*/site-packages/agent_store-*.dist-info/direct_url.json \
        /project/opt/agent-store/lib/python3*/site-packages/agent_store-*.dist-info/uv_cache.json \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        -s /project -p / /project/opt/agent-store/lib

FROM ${PYTHON_IMAGE}
# The base brings no bytecode of the standard library, and a read-only root can't keep any: without this every start
# compiles what it imports.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -x 'site-packages|dist-packages|/tests?/|idlelib|lib2to3|turtledemo|ensurepip' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && echo 'agent-store:x:65532:' >> /etc/group \
    && echo 'agent-store:x:65532:65532::/var/lib/agent-store:/usr/sbin/nologin' >> /etc/passwd \
    && mkdir -p /var/lib/agent-store \
    && chown 65532:65532 /var/lib/agent-store
COPY --from=build /opt/agent-store/lib /opt/agent-store/lib
COPY --from=build /share /
COPY --from=project /project /

ENV PATH=/opt/agent-store/bin:/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin \
    HOME=/var/lib/agent-store \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    AGENT_STORE_DATA=/var/lib/agent-store \
    AGENT_STORE_HOST=0.0.0.0
WORKDIR /var/lib/agent-store
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["agent-store"]
CMD ["--help"]

ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Agent Store" \
      org.opencontainers.image.description="A multi-brand shop whose sellers are AI agents" \
      org.opencontainers.image.source="https://github.com/agent-store/agent-store" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
