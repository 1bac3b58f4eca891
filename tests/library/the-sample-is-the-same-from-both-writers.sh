# SPDX-License-Identifier: Apache-2.0
# scripts/make-sample writes the same bytes with the official library and, where that is missing, with `weightfs pack`.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires python:safetensors

for size in '' --tiny; do
    # shellcheck disable=SC2086 # no option, or one
    python3 "$WEIGHTFS_SOURCE/scripts/make-sample" official.safetensors $size --writer official
    # shellcheck disable=SC2086
    python3 "$WEIGHTFS_SOURCE/scripts/make-sample" ours.safetensors $size --writer weightfs
    assert_same official.safetensors ours.safetensors
    rm official.safetensors ours.safetensors
done
