/* SPDX-License-Identifier: Apache-2.0
 *
 * The letters and flags of journal items, for record.c and record_read.c. They are on disk: never give one a
 * new meaning.
 */
#ifndef STAGE_RECORD_ITEMS_H
#define STAGE_RECORD_ITEMS_H

enum item {
    ITEM_BASE = 'B',
    ITEM_LIVE = 'L',
    ITEM_REMOVED = 'R',
    ITEM_FORGET = 'F',
    ITEM_METADATA = 'M',
    ITEM_INTENT = 'I',
    ITEM_DROP = 'D',
    ITEM_NOTES = 'N',
    ITEM_TENSOR = 'T',
    ITEM_MAP = 'P',
};

enum flag {
    FLAG_DRAFT = 1 << 0,
    FLAG_NPY_VIEW = 1 << 1,
    FLAG_FROM_NPY = 1 << 2,
    FLAG_PATCHED = 1 << 3,
    FLAG_SYNCED = 1 << 4,
    FLAG_LOST = 1 << 5,
    FLAG_DAMAGED = 1 << 6,
};

#endif
