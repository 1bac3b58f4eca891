/* SPDX-License-Identifier: Apache-2.0
 *
 * Sorting the tensors in place. Most files have them in order already. The others are sorted without another
 * buffer and without a worst case: quicksort, and heapsort for what quicksort does not get smaller.
 */
#include "format/storage.h"

static bool comes_before(const struct tensor_record *a, const struct tensor_record *b)
{
    if (a->begin != b->begin)
        return a->begin < b->begin;
    if (a->end != b->end)
        return a->end < b->end;
    return a->name < b->name;
}

static void swap(struct tensor_record *a, struct tensor_record *b)
{
    struct tensor_record held = *a;
    *a = *b;
    *b = held;
}

static void insertion_sort(struct tensor_record *records, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct tensor_record held = records[i];
        size_t at = i;
        for (; at > 0 && comes_before(&held, &records[at - 1]); at--)
            records[at] = records[at - 1];
        records[at] = held;
    }
}

/* Lets records[root] sink into the heap below it. */
static void sink(struct tensor_record *records, size_t root, size_t count)
{
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && comes_before(&records[child], &records[child + 1]))
            child++;
        if (!comes_before(&records[root], &records[child]))
            return;
        swap(&records[root], &records[child]);
        root = child;
    }
}

static void heap_sort(struct tensor_record *records, size_t count)
{
    for (size_t root = count / 2; root-- > 0;)
        sink(records, root, count);
    for (size_t last = count; last-- > 1;) {
        swap(&records[0], &records[last]);
        sink(records, 0, last);
    }
}

/* Puts the median of first, middle and last into the middle, the others on its sides. */
static void sort_three(struct tensor_record *records, size_t count)
{
    struct tensor_record *middle = &records[count / 2];
    struct tensor_record *last = &records[count - 1];
    if (comes_before(middle, &records[0]))
        swap(middle, &records[0]);
    if (comes_before(last, middle)) {
        swap(last, middle);
        if (comes_before(middle, &records[0]))
            swap(middle, &records[0]);
    }
}

/* Splits into two parts, no record of the first after one of the second; returns the size of the first,
 * between 1 and count - 1. */
static size_t partition(struct tensor_record *records, size_t count)
{
    sort_three(records, count);
    struct tensor_record pivot = records[count / 2];
    size_t low = 0;
    size_t high = count - 1;
    for (;;) {
        while (comes_before(&records[low], &pivot))
            low++;
        while (comes_before(&pivot, &records[high]))
            high--;
        if (low >= high)
            return high + 1;
        swap(&records[low++], &records[high--]);
    }
}

#define SMALL 24u

struct range {
    size_t first;
    size_t count;
    unsigned splits_left; /* before it is heapsort's turn */
};

static void sort(struct tensor_record *records, size_t count)
{
    struct range stack[64]; /* the larger part waits, so each is at most half of the one below */
    size_t depth = 0;
    struct range now = {0, count, 0};
    for (size_t n = count; n; n /= 2)
        now.splits_left += 2;
    for (;;) {
        while (now.count > SMALL && now.splits_left > 0) {
            size_t left = partition(records + now.first, now.count);
            struct range a = {now.first, left, now.splits_left - 1};
            struct range b = {now.first + left, now.count - left, now.splits_left - 1};
            now = a.count < b.count ? a : b;
            stack[depth++] = a.count < b.count ? b : a;
        }
        if (now.count > SMALL)
            heap_sort(records + now.first, now.count);
        else
            insertion_sort(records + now.first, now.count);
        if (depth == 0)
            return;
        now = stack[--depth];
    }
}

void storage_sort(struct wfs_header *header)
{
    for (size_t i = 1; i < header->tensor_count; i++) {
        if (comes_before(&header->tensors[i], &header->tensors[i - 1])) {
            sort(header->tensors, header->tensor_count);
            return;
        }
    }
}
