# SPDX-License-Identifier: Apache-2.0
"""The official library's verdict on a file, by the name of its error."""
import safetensors

ERRORS = {
    "header too small": "HeaderTooSmall",
    "header too large": "HeaderTooLarge",
    "invalid header length": "InvalidHeaderLength",
    "invalid UTF-8 in header": "InvalidHeader",
    "invalid JSON in header": "InvalidHeaderDeserialization",
    "invalid offset for tensor": "InvalidOffset",
    "overflow computing buffer size": "ValidationOverflow",
    "The slice is slicing for subbytes": "MisalignedSlice",
    "invalid shape, data type, or offset": "TensorInvalidInfo",
    "incomplete metadata": "MetadataIncompleteBuffer",
}


def verdict(file):
    try:
        safetensors.deserialize(file)
        return "ok"
    except safetensors.SafetensorError as error:
        text = str(error).removeprefix("Error while deserializing: ")
        for beginning, name in ERRORS.items():
            if text.startswith(beginning):
                return name
        raise
