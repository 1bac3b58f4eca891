/* SPDX-License-Identifier: Apache-2.0
 *
 * main() of a fuzz target without libFuzzer: runs it over the files given.
 */
#include "fuzz/fuzz.h"

static void replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    MUST(file);
    MUST(fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    MUST(size >= 0);
    rewind(file);
    uint8_t *bytes = malloc((size_t)size + 1);
    MUST(bytes);
    MUST(fread(bytes, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, (size_t)size);
    free(bytes);
}

int main(int count, char **paths)
{
    for (int i = 1; i < count; i++)
        replay(paths[i]);
    printf("%d inputs\n", count - 1);
    return count > 1 ? 0 : 1;
}
