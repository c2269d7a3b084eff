# Two stages: build with the whole toolchain, run with the binary and a C library.
#
# The build image brings the version that rust-toolchain.toml pins. That file stays outside: it also
# asks for clippy and rustfmt, which the build does not need and would have to download.
ARG NODE_IMAGE=docker.io/library/node:20-bookworm-slim
ARG BUILD_IMAGE=docker.io/library/rust:1.95.0-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
# Named in the manifest, though not built here.
COPY benches benches
COPY migrations migrations
COPY templates templates
COPY src src
# The caches are gone after this step, so the binary is copied out of them in the same one.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin readdress \
    && cp target/release/readdress /readdress

# TLS roots are in the binary, SQLite too: libc and libgcc are all it needs.
FROM ${RUNTIME_IMAGE}
COPY --from=build /readdress /usr/local/bin/readdress
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENV READDRESS_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/readdress", "health"]
ENTRYPOINT ["/usr/local/bin/readdress"]
CMD ["serve"]
