/* SPDX-License-Identifier: Apache-2.0
 *
 * What a file that is not safetensors really is.
 */
#ifndef FORMAT_SNIFF_H
#define FORMAT_SNIFF_H

#include <stddef.h>

/* From the first bytes (up to 512): "a Git LFS pointer: run 'git lfs pull'", "an HTML page", "a PyTorch .pt
 * file (zip)", "a Python pickle", "a GGUF file", "gzip data", ... or NULL when nothing is recognised. */
const char *sniff(const unsigned char *bytes, size_t size);

#endif
