/* SPDX-License-Identifier: Apache-2.0
 *
 * libweightfs: read, verify and write safetensors files. Man page libweightfs(3); examples/ has whole
 * programs.
 */
#ifndef WEIGHTFS_WEIGHTFS_H
#define WEIGHTFS_WEIGHTFS_H

#include <weightfs/reader.h>
#include <weightfs/verify.h>
#include <weightfs/writer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0" */
WFS_API const char *wfs_version(void);

#ifdef __cplusplus
}
#endif
#endif
