# SPDX-License-Identifier: Apache-2.0
# Debian 13 has gcc 14, Python 3.13 and libfuse 3.17, with which the kernel can read files past us.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse
exec "$WEIGHTFS_SOURCE/scripts/test-debian13"
