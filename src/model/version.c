/* SPDX-License-Identifier: Apache-2.0 */
#include <weightfs/weightfs.h>

const char *wfs_version(void)
{
    return WFS_VERSION;
}
