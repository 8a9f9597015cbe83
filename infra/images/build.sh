#!/bin/bash
# Build the images with buildah and leave them as docker-archives: build.sh [portal serving engines]
#   OUT       folder of the archives (build/images)
#   TAG       of the images (dev);  REGISTRY their registry (registry.local/stemma)
#   ACCELERATOR  cpu, or cuda: serving with the default index's torch, which brings gigabytes of CUDA; tagged TAG-cuda
#   BASE      image to start from; without one a Debian is made by debootstrap, which needs root
set -euo pipefail
cd "$(dirname "$0")/../.."
OUT=${OUT:-build/images} TAG=${TAG:-dev} REGISTRY=${REGISTRY:-registry.local/stemma} ACCELERATOR=${ACCELERATOR:-cpu}
[ "$ACCELERATOR" = cpu ] || OUT=$OUT/$ACCELERATOR TAG=$TAG-$ACCELERATOR
export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot} STORAGE_DRIVER=${STORAGE_DRIVER:-overlay}
mkdir -p "$OUT"

missing=()
command -v buildah >/dev/null || missing+=(buildah runc)
[ -n "${BASE:-}" ] || command -v debootstrap >/dev/null || missing+=(debootstrap)
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || { echo "Install ${missing[*]} first." >&2; exit 2; }
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ -z "${BASE:-}" ]; then
  BASE=localhost/debian:bookworm
  if ! buildah inspect --type image "$BASE" >/dev/null 2>&1; then
    mirror=$(sed -nE 's/^URIs: *//p; s/^deb (\[[^]]*\] )?([^ ]+).*/\2/p' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -1 || true)
    rootfs=$(mktemp -d)
    echo "making a Debian from ${mirror:=http://deb.debian.org/debian}"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$rootfs" "$mirror" >/dev/null
    rm -rf "$rootfs"/var/cache/apt/* "$rootfs"/var/lib/apt/lists/* "$rootfs"/var/log/*
    tar -C "$rootfs" -cf "$OUT/debian.tar" . && rm -rf "$rootfs"
    base=$(buildah from scratch) && buildah add -q "$base" "$OUT/debian.tar" / >/dev/null
    buildah commit -q "$base" "$BASE" >/dev/null && buildah rm "$base" >/dev/null && rm -f "$OUT/debian.tar"
  fi
fi

# What the machine needs to reach its package index, the builds need too.
more=()
[ "$ACCELERATOR" = cuda ] && more+=(--build-arg ACCELERATOR=cuda --build-arg TORCH_INDEX=)
[ -d /etc/ssl/certs ] && more+=(-v /etc/ssl/certs:/etc/ssl/certs:ro)
[ -f /etc/pip.conf ] && more+=(-v /etc/pip.conf:/etc/pip.conf:ro)
if [ "$ACCELERATOR" = cpu ] && [ -n "${PIP_FIND_LINKS:-}" ] && [ -d "$PIP_FIND_LINKS" ]; then
  more+=(-v "$PIP_FIND_LINKS:$PIP_FIND_LINKS:ro" --build-arg "PIP_FIND_LINKS=$PIP_FIND_LINKS" --build-arg "TORCH_INDEX=${TORCH_INDEX:-}")
fi
for target in ${*:-portal serving engines}; do
  image=$REGISTRY/$target:$TAG archive=$OUT/$target.tar started=$SECONDS
  buildah build -q --layers --network host --format docker --timestamp 0 --build-arg "BASE=$BASE" "${more[@]}" \
    -f infra/images/Dockerfile --target "$target" -t "$image" . >"$OUT/$target.id.new"
  if ! cmp -s "$OUT/$target.id.new" "$OUT/$target.id" || [ ! -f "$archive" ]; then
    rm -f "$archive" && buildah push -q "$image" "docker-archive:$archive:$image"
    mv "$OUT/$target.id.new" "$OUT/$target.id"
  fi
  rm -f "$OUT/$target.id.new"
  echo "$image  $(du -m "$archive" | cut -f1) MB  $((SECONDS - started)) s"
done
