/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

int cmd_selftest(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return cmd_usage("selftest", "not there yet");
}
