#!/usr/bin/env bash
# Makes one environment for each peer of the benchmarks: peers.sh DIR [PEER ...], of torch, jax, pytensor and onnx.
#
# PYTHON names the interpreter (default: python3). Pip's own settings hold. symgraph and NumPy run with the Python that
# runs the benchmarks; MXNet 1.9.1 needs an old NumPy and is named with --mxnet.
set -euo pipefail

# The versions that docs/benchmarks.json was measured with. This torch is the one without CUDA; plain "torch" can be
# several gigabytes.
declare -A packages=(
    [torch]="torch==2.13.0 numpy setuptools"
    [jax]="jax==0.10.2"
    [pytensor]="pytensor==3.0.7"
    [onnx]="onnx==1.23.2 onnxruntime==1.31.1"
)

if [ $# -eq 0 ]; then
    sed -n '2,5s/^# \?//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
folder=$1
shift
[ $# -gt 0 ] || set -- torch jax pytensor onnx
for peer in "$@"; do
    if [ -z "${packages[$peer]:-}" ]; then
        echo "no peer is named $peer; there are ${!packages[*]}" >&2
        exit 2
    fi
    "${PYTHON:-python3}" -m venv "$folder/$peer"
    # shellcheck disable=SC2086 (several packages)
    "$folder/$peer/bin/python" -m pip install --quiet --disable-pip-version-check ${packages[$peer]}
    "$folder/$peer/bin/python" -m pip list --disable-pip-version-check
done
