# SPDX-License-Identifier: Apache-2.0
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"

small_model m.safetensors
eval "$(weightfs completion bash)"

# complete WORD...: what the last word becomes
completed() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _weightfs
    echo "${COMPREPLY[*]}"
}

assert_eq "$(completed weightfs ver)" "verify version"
assert_contains "$(completed weightfs verify --)" "--strict.*--crc"
assert_eq "$(completed weightfs pack dir out --la)" "--layout"
assert_eq "$(completed weightfs inspect m.)" "m.safetensors"
assert_eq "$(completed weightfs cat m.safetensors model.n)" "model.norm.weight"
assert_eq "$(completed weightfs ls m.safetensors x lm)" "lm_head.weight"
touch 'a file' '*'
assert_eq "$(completed weightfs inspect 'a f')" "a file"
assert_eq "$(completed weightfs inspect '*')" '*'
rm 'a file' '*'

# A name is never read as a command, nor as a pattern.
python3 - <<'MODEL'
from wfs import *
names = ["$(touch one)", "`touch two`", "${x:=three}", "*", "two  blanks", "$HOME", "~"]
save("hostile.safetensors", {name: tensor("U8", [1]) for name in names})
MODEL
assert_eq "$(completed weightfs cat hostile.safetensors '')" '$(touch one) $HOME ${x:=three} * `touch two` two  blanks ~'
assert_eq "$(completed weightfs cat hostile.safetensors '*')" '*'
assert_eq "$(completed weightfs ls hostile.safetensors '$')" '$(touch one) $HOME ${x:=three}'
assert_eq "$(ls)" "$(printf 'hostile.safetensors\nm.safetensors')"

for shell in fish zsh; do
    assert_contains "$(weightfs completion $shell)" "inspect"
    weightfs completion $shell | tr -d '(){}[]:#-' | bash -n # every quote has its other half
done
assert_exit 2 weightfs completion
assert_exit 2 weightfs completion tcsh
