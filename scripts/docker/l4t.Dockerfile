# fewwatt on a Jetson, in an image that has the workload's libraries. BASE is an L4T image for the board's JetPack, by its full name: NVIDIA's
# l4t-base with the tag r32.7.1 (JetPack 4.6), r35.4.1 (JetPack 5.1) or r36.2.0 (JetPack 6), or one that is made from it. The package
# for arm64, of `scripts/package arm64` or of a release, lies in the folder that is the last argument:
#   docker build -t fewwatt --build-arg BASE=IMAGE:r35.4.1 -f scripts/docker/l4t.Dockerfile build/packages
# docs/install.md says what the container must see of the board.
ARG BASE
FROM ${BASE}
USER root
COPY fewwatt_*_arm64.deb /packages/
RUN dpkg -i /packages/*.deb \
 && rm -r /packages \
 && useradd --create-home fewwatt
USER fewwatt
WORKDIR /work
ENTRYPOINT ["fewwatt"]
