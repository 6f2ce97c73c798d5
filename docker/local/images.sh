#!/usr/bin/env bash
# Makes the images that the compose files need where no registry can be reached: podman, debootstrap, Maven and Go do.
#   docker/local/images.sh [kafka] [s3]      (root; a Debian mirror, PyPI, Maven Central and Go's proxy must be reachable)
# It prints nothing but what goes wrong; docker/try.sh calls it when LOCAL=1.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kafka=4.1.0 versitygw=v1.8.0

base() { # NAME PACKAGES: a Debian with these packages
    podman image exists "localhost/$1:bookworm" && return
    debootstrap --variant=minbase --include="ca-certificates,$2" bookworm "$work/$1" >"$work/$1.log" 2>&1 ||
        { tail -5 "$work/$1.log" >&2; exit 1; }
    rm -rf "$work/$1"/var/cache/apt/archives/*.deb "$work/$1"/var/lib/apt/lists/*
    tar -C "$work/$1" -c . | podman import --quiet - "localhost/$1:bookworm" >/dev/null
    rm -rf "${work:?}/$1"
}

build() { # NAME BASE FOLDER
    podman build --quiet --isolation=chroot --build-arg "BASE=$2" -t "$1" "$3" >/dev/null
}

base debian-python python3,python3-venv
for what in "$@"; do
    case $what in
    kafka)
        podman image exists "localhost/local-kafka:$kafka" && continue
        base debian-java openjdk-17-jre-headless
        cp -r "$here/kafka" "$work/kafka"
        cat >"$work/pom.xml" <<POM
<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version>
<packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$kafka</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
POM
        mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies \
            "-DoutputDirectory=$work/kafka/libs" -DincludeScope=runtime
        build "localhost/local-kafka:$kafka" localhost/debian-java:bookworm "$work/kafka"
        ;;
    s3)
        podman image exists "localhost/local-s3:$versitygw" && continue
        cp -r "$here/s3" "$work/s3"
        GOBIN="$work/s3" CGO_ENABLED=0 go install "github.com/versity/versitygw/cmd/versitygw@$versitygw"
        build "localhost/local-s3:$versitygw" localhost/debian-python:bookworm "$work/s3"
        ;;
    esac
done
