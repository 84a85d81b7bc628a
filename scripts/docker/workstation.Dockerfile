# fewwatt for a workstation: all programs. Made of the packages for amd64, of `scripts/package workstation` or of a release; the
# folder that holds them is the last argument:
#   docker build -t fewwatt -f scripts/docker/workstation.Dockerfile build/packages
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" fewwatt meta-train --profiles profiles.h5 --out auto.h5
# The packages need the libraries of the system that they were made on: Debian 12.
FROM debian:12-slim
COPY fewwatt_*_amd64.deb fewwatt-workstation_*_amd64.deb /packages/
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends /packages/*.deb libopenblas0-pthread \
 && rm -rf /packages /var/lib/apt/lists/* \
 && useradd --create-home fewwatt
USER fewwatt
WORKDIR /work
ENTRYPOINT ["fewwatt"]
