# SPDX-License-Identifier: Apache-2.0
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse python:safetensors

python3 "$WEIGHTFS_SOURCE/scripts/make-sample" --tiny m.safetensors
python3 - <<'END'
from wfs import *
os.mkdir("official")
for name, (_, _, data) in official("m.safetensors").items():
    write(f"official/{name}", data)
END
mount_model m.safetensors mnt

assert_eq "$(ls official)" "$(ls mnt/tensors)"
for name in official/*; do
    name=${name#official/}
    cat "mnt/tensors/$name" >seen
    assert_same seen "official/$name"
    cmp "mnt/tensors/$name" "official/$name"
    cmp "mnt/staging/tensors/$name" "official/$name"
done
(cd mnt/tensors && sha256sum -- *) >sums
(cd official && sha256sum -c --quiet ../sums)

big=model.embed_tokens.weight
size=$(stat -c %s official/$big)
for skip in 0 1 4095 4096 4097 65536 $((size - 1)) $((size - 4096)) "$size" $((size + 10)); do
    dd if=mnt/tensors/$big of=seen bs=1 skip="$skip" count=5000 iflag=skip_bytes status=none
    tail -c "+$((skip + 1))" official/$big | head -c 5000 >wanted || true
    assert_same seen wanted
done
for block in 511 4k 1M; do
    dd if=mnt/tensors/$big bs=$block status=none | cmp - official/$big
done
tail -c 1234 mnt/tensors/$big | cmp - <(tail -c 1234 official/$big)
assert_eq "$(od -A d -t x1 -j 100 -N 64 mnt/tensors/$big)" "$(od -A d -t x1 -j 100 -N 64 official/$big)"
assert_eq "$(head -c 300 mnt/tensors/$big | xxd)" "$(head -c 300 official/$big | xxd)"

# find, ls, du: sizes are the tensors', and only tensors/ claims blocks.
assert_eq "$(find mnt/tensors -type f -printf '%f %s\n' | sort)" "$(find official -type f -printf '%f %s\n' | sort)"
assert_eq "$(find mnt -name '*.npy' | wc -l)" "$((2 * $(ls official | wc -l)))"
assert_eq "$(ls -l mnt/tensors | awk 'NR > 1 {print $NF, $5}' | sort)" "$(ls -l official | awk 'NR > 1 {print $NF, $5}' | sort)"
assert_eq "$(du -sb --apparent-size mnt/m.safetensors | cut -f1)" "$(stat -c %s m.safetensors)"
assert_eq "$(du -k mnt/npy mnt/staging | awk '{sum += $1} END {print sum}')" 0 "du of views"
on_disk=$(du -sk mnt | cut -f1)
real=$(($(stat -c %s m.safetensors) / 1024))
[ "$on_disk" -ge $((real * 9 / 10)) ] && [ "$on_disk" -le $((real * 11 / 10 + 80)) ] || fail "du says $on_disk KiB of a model of $real KiB"

assert_same mnt/m.safetensors m.safetensors
umount_model mnt
