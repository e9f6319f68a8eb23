# One image for the gateway, the operator and the demo worker. It also has the plug-in for users' own images.
#   docker build -t kelery .          (podman and buildah accept the same arguments)
# To use another package index, pass --build-arg PIP_INDEX_URL. If its URL has a password, pass a pip.conf as a secret:
#   docker build --secret id=pip.conf,src=pip.conf -t kelery .
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ARG PIP_INDEX_URL=
ARG PIP_EXTRA_INDEX_URL=
ARG PIP_TRUSTED_HOST=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# Layers that rarely change come first. Only wheels are installed, so no stage needs a compiler.
COPY requirements-image.lock requirements-wheel.lock ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python3 -m venv /build/venv \
 && /build/venv/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements-wheel.lock \
 && python3 -m venv --without-pip /opt/kelery \
 && /build/venv/bin/python -m pip --python /opt/kelery/bin/python install --quiet --no-compile --require-hashes \
      --only-binary :all: -r requirements-image.lock

COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY worker worker
COPY api api
COPY operator operator
COPY dev dev
COPY bench bench
COPY charts/kelery/files charts/kelery/files
# Python never checks this bytecode against the source, so file times do not matter. At run time the root file system is read-only.
RUN /build/venv/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir /build/dist . \
 && /build/venv/bin/python -m pip --python /opt/kelery/bin/python install --quiet --no-compile --no-deps --no-index /build/dist/*.whl \
 && /opt/kelery/bin/kelery-inject /opt/kelery/inject \
 && find /opt/kelery -name __pycache__ -prune -exec rm -r {} + \
 && /opt/kelery/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash -x /opt/kelery/inject /opt/kelery


FROM ${PYTHON_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kelery" \
      org.opencontainers.image.description="Celery tasks as Kubernetes resources: gateway, operator, worker" \
      org.opencontainers.image.url="https://kelery.dev" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# With this entry the user has its own group, not root's. The variable USER below is for any other user id.
RUN echo 'kelery:x:65532:65532:kelery:/tmp:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'kelery:x:65532:' >> /etc/group
COPY --from=build /opt/kelery /opt/kelery
# In an image built on this one, pip and uv install next to Kelery. Kelery writes to /tmp only.
ENV PATH=/opt/kelery/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    VIRTUAL_ENV=/opt/kelery \
    PIP_PYTHON=/opt/kelery/bin/python \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8 \
    USER=kelery \
    HOME=/tmp
WORKDIR /tmp
USER 65532:65532
EXPOSE 8000 8001 8081
ENTRYPOINT ["kelery"]
CMD ["--help"]
