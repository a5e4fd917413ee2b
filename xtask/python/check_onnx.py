"""Runs the full checker of the `onnx` package over ONNX files: structure, types and strict shape inference.

    python check_onnx.py FILE...

Needs `onnx` (made with 1.23.2). Exits 1 at the first file that the checker refuses, with its reason.
"""

import sys

import onnx


def main(paths):
    if not paths:
        sys.exit("usage: check_onnx.py FILE...")
    for path in paths:
        try:
            # By path, so that external data is found and models above 2 GiB can be checked.
            onnx.checker.check_model(path, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, OSError, ValueError) as error:
            sys.exit(f"{path}: {error}")
        print(f"{path}: ok")


if __name__ == "__main__":
    main(sys.argv[1:])
