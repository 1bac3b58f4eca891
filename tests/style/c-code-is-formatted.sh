# SPDX-License-Identifier: Apache-2.0
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires clang-format

cd "$WEIGHTFS_SOURCE"
find src include tests -name '*.[ch]' -print0 | sort -z | xargs -0 -r clang-format --dry-run -Werror
