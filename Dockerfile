# One file for every image:
#   docker build --build-arg SERVICE=keyframer -t kyara-keyframer:0.1.0 .
# `make images` builds them all. Trainer and evaluator, which are Ray's nodes too, come for the CPU as they are, and for CUDA with
# `--build-arg TORCH_INDEX=` (tagged `-cuda`): PyPI's torch brings CUDA, the index named here has the one without.

# Any image with Python 3.11 and its venv.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG SERVICE
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# A mirror of PyPI, and the certificates to trust, where there is no way out.
ARG PIP_INDEX_URL
ARG PIP_CERT
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY constraints.txt .
RUN python3.11 -m venv /build && /build/bin/pip install -q -c constraints.txt hatchling && python3.11 -m venv /opt/kyara
COPY libs libs
COPY services/${SERVICE} services/${SERVICE}
RUN /build/bin/pip wheel -q --no-deps --no-build-isolation -w /wheels ./libs/* ./services/${SERVICE}
# Only what the service needs; whoever reads the catalogue's models has the built-in ones at hand. Compiled files without times
# are the same in every build.
RUN case ${SERVICE} in \
         trainer|evaluator) more="kyara-miniature ${TORCH_INDEX:+--extra-index-url ${TORCH_INDEX}}";; \
         curator|cli) more=kyara-miniature;; \
       esac \
    && /opt/kyara/bin/pip install -q --no-compile -c constraints.txt --find-links /wheels kyara-${SERVICE} ${more:-} \
    && /opt/kyara/bin/pip uninstall -q -y setuptools pip \
    && /opt/kyara/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/kyara/lib
RUN cd /opt/kyara/bin \
    && case ${SERVICE} in \
         cli) serve=kyara healthy=true;; \
         *) serve="python -m kyara_${SERVICE} --listen=0.0.0.0:7400" healthy="python -m kyara_rpc.health 127.0.0.1:7400";; \
       esac \
    && printf '#!/bin/sh\nexec %s "$@"\n' "$serve" > serve && printf '#!/bin/sh\nexec %s\n' "$healthy" > healthy \
    && chmod 755 serve healthy

FROM ${BASE}
ARG SERVICE
LABEL org.opencontainers.image.title="kyara-${SERVICE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.description="Kyara's ${SERVICE}: anime video, or a character's name, to a published and scored LoRA"
COPY --from=build /opt/kyara /opt/kyara
ENV PATH=/opt/kyara/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /tmp
EXPOSE 7400
# Kubernetes asks over gRPC by itself, and gives the command and the address too; these are for those who run the image alone.
HEALTHCHECK --interval=20s --timeout=5s --start-period=30s CMD ["healthy"]
ENTRYPOINT ["serve"]
