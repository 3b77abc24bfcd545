# The image of Tallow: built in one stage, run by an unprivileged user in another.

FROM rust:1.95.0-slim-trixie AS build
# SQLite, librdkafka, AWS-LC, zstd and zlib are compiled from the sources in their crates, which
# need a C compiler and make only. Node.js and npm build the dashboard. OpenSSL and pkg-config are
# for FEATURES=tls.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential libssl-dev nodejs npm pkg-config \
    && rm -rf /var/lib/apt/lists/*
# The features of the build: tls for a Kafka that is reached by TLS or asks for SCRAM.
ARG FEATURES=
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    TALLOW_DASHBOARD=required cargo build --release --locked --package tallow --features "$FEATURES" \
    && cp target/release/tallow /usr/local/bin/tallow

FROM debian:13.4-slim
# The health checks use curl. The package ca-certificates brings the OpenSSL library that
# FEATURES=tls needs.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tallow \
    && install --directory --owner=tallow --group=tallow /data
COPY --from=build /usr/local/bin/tallow /usr/local/bin/tallow
USER tallow
VOLUME /data
EXPOSE 8000
ENV TALLOW__SERVER__LISTEN=0.0.0.0:8000 \
    TALLOW__UP__DATA=/data
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--show-error", "--max-time", "3", "http://127.0.0.1:8000/health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tallow"]
CMD ["up"]
