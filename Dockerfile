# Three stages: the pages, the service, and the two of them on a C library and nothing else.
#
# The base images are arguments with full names, so that a mirror or a stand-in can take their place.
ARG NODE_IMAGE=docker.io/library/node:20-bookworm-slim
ARG BUILD_IMAGE=docker.io/library/rust:1.95.0-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12
# Also that of scripts/release.
ARG CARGO_AUDITABLE=0.7.7

FROM ${NODE_IMAGE} AS pages
WORKDIR /build
COPY openapi openapi
COPY clients/typescript clients/typescript
COPY web web
COPY scripts/build-web scripts/build-web
# CI=true: without pages there is no image. Bundled, they no longer tell what they are made of: the list does.
RUN CI=true scripts/build-web \
    && npm --prefix web run --silent sbom > /pages.cdx.json

# The build image brings the version that rust-toolchain.toml pins. That file stays outside: it also
# asks for clippy and rustfmt, which the build does not need and would have to download.
FROM ${BUILD_IMAGE} AS service
ARG CARGO_AUDITABLE
# Writes the list of crates into the binary, where scanners of images look for it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo install --locked --version ${CARGO_AUDITABLE} cargo-auditable
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
# Named in the manifest, though not built here.
COPY benches benches
COPY migrations migrations
COPY templates templates
COPY src src
# The caches are gone after this step, so the binary is copied out of them in the same one. Files come with
# the times that they have outside, and cargo takes those older than its cache for built: so they are new.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target,sharing=locked \
    find migrations templates src -type f -exec touch {} + \
    && cargo auditable rustc --profile dist --locked --bin readdress -- -C opt-level=3 \
    && cp target/dist/readdress /readdress

# TLS roots are in the binary, SQLite too: libc and libgcc are all it needs.
FROM ${RUNTIME_IMAGE}
ARG RUNTIME_IMAGE
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="readdress" \
      org.opencontainers.image.description="Lets people change the e-mail address of their account, safely, beside any application" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${RUNTIME_IMAGE}"
COPY --from=service /readdress /usr/local/bin/readdress
COPY --from=pages /build/web/dist /usr/local/share/readdress/web
COPY --from=pages /pages.cdx.json /usr/local/share/readdress/pages.cdx.json
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENV READDRESS_LISTEN=0.0.0.0:8080 \
    READDRESS_WEB_ROOT=/usr/local/share/readdress/web
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/readdress", "health"]
ENTRYPOINT ["/usr/local/bin/readdress"]
CMD ["serve"]
