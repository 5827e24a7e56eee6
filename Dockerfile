# One image for every process: `python -m gateway`, `python -m lib.runner <svc>`, `python -m lib.cli <svc> <command>`.

FROM python:3.12.13-slim-bookworm AS packages

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements.lock .
# nameko-sqlalchemy is published as source only; the constraint makes pip build it with the setuptools of the lock and
# not with the newest of the day.
RUN python -m venv --without-pip /opt/venv \
    && sed -n 's/^\(setuptools==[^ ]*\).*/\1/p' requirements.lock > build-tools.txt \
    && PIP_CONSTRAINT=/build/build-tools.txt \
       pip --python /opt/venv/bin/python install --require-hashes -r requirements.lock


FROM python:3.12.13-slim-bookworm

# Eventlet's own resolver mishandles the search domains of containers.
ENV EVENTLET_NO_GREENDNS=yes \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/venv/bin:$PATH

RUN groupadd --gid 10001 leveret \
    && useradd --uid 10001 --gid leveret --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin leveret

COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY config.yaml ./
COPY lib lib
COPY auth_svc auth_svc
COPY users_svc users_svc
COPY payments_svc payments_svc
COPY gateway gateway
RUN python -m compileall -q .

# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 3000 3001 3002 3003
CMD ["python", "-m", "gateway"]
