/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include <stdio.h>

#include <weightfs/weightfs.h>

int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("weightfs %s\n", wfs_version());
    return cmd_finish(EXIT_DONE);
}
