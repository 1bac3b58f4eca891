# SPDX-License-Identifier: Apache-2.0
# The same as differential.hostile-headers-cost-little, with headers of nearly 100,000,000 bytes.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
export WEIGHTFS_COST_SIZE=99000000
python3 "$WEIGHTFS_SOURCE/tests/differential/hostile-headers-cost-little.py"
