"""Makes fixtures/graph/inference.json: what `onnx.shape_inference` says of operators and shapes.

    python graph_golden.py ../../fixtures/graph/inference.json

Needs `onnx` (made with 1.23.2). Every case is one node. An input is a type and a shape (a word is a symbolic size), with
numbers if it is a constant. Outputs are what strict inference with data propagation gives, `null` for a size that it
leaves open; a case that the checker refuses has `"outputs": null`.
"""

import json
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

TYPES = {"f32": 1, "u8": 2, "i8": 3, "i32": 6, "i64": 7, "bool": 9, "f16": 10}
NAMES = {code: name for name, code in TYPES.items()}
NUMPY = {"f32": np.float32, "i64": np.int64, "i32": np.int32, "u8": np.uint8, "i8": np.int8, "bool": np.bool_}
CASES = []


def t(data_type, *shape):
    return {"type": data_type, "shape": list(shape)}


def c(numbers, data_type="i64"):
    return {"type": data_type, "shape": list(np.shape(numbers)), "numbers": np.ravel(numbers).tolist()}


def case(op, inputs, outputs=1, opset=17, **attributes):
    CASES.append({"op": op, "opset": opset, "attributes": attributes, "inputs": inputs, "names": outputs})


def f(*shape):
    return t("f32", *shape)


def table():
    for op in ["Add", "Sub", "Mul", "Div", "Pow"]:
        case(op, [f(2, 3), f(2, 3)])
        case(op, [f("batch", "seq", 8), f(8)])
        case(op, [f("batch", 1, 8), f(5, 1)])
        case(op, [f(2, 3), f(2, 4)])
        case(op, [f(3), f()])
    case("Add", [f(3), t("i64", 3)])
    case("Add", [t("bool", 3), t("bool", 3)])
    case("Pow", [f(3), t("i64", 3)])
    case("Add", [t("i8", 3), t("i8", 1)])
    for op in ["Min", "Max"]:
        case(op, [f(2, 3), f(3), f()])
        case(op, [t("i64", 2)])
    for op in ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"]:
        case(op, [t("i64", "batch", 1), t("i64", 1, "seq")])
    case("Equal", [t("bool", 2), t("bool", 2)])
    case("Less", [t("bool", 2), t("bool", 2)])
    for op in ["And", "Or"]:
        case(op, [t("bool", 2, 1), t("bool", 3)])
        case(op, [f(2), t("bool", 2)])
    case("Not", [t("bool", "n")])
    case("Not", [f(2)])
    case("Where", [t("bool", 4, 1), f(3), f()])
    case("Where", [f(4), f(4), f(4)])
    for op in ["Sqrt", "Exp", "Log", "Reciprocal", "Erf", "Tanh", "Sigmoid", "Round", "Floor", "Ceil", "Cos", "Sin"]:
        case(op, [f("batch", 3)])
        case(op, [t("f16", 3)])
    case("Sqrt", [t("i64", 3)])
    for op in ["Relu", "Neg", "Abs"]:
        case(op, [f(2, "n")])
        case(op, [t("i8", 2)])
    case("Neg", [t("u8", 2)])
    case("Clip", [f(2, 3), f(), f()])
    case("Clip", [f(2, 3), c(1.0, "f32")])
    case("Identity", [t("bool", "a", 2)])
    for to in ["f16", "i32", "bool", "f32"]:
        case("Cast", [f("a", 2)], to=TYPES[to])
    case("Softmax", [f("a", 4, "b")], axis=-1)
    case("Softmax", [f("a", 4)], axis=2)
    case("LayerNormalization", [f("a", "b", 6), f(6), f(6)], outputs=1, axis=-1, epsilon=1e-5)
    case("LayerNormalization", [f("a", "b", 6), f(6)], outputs=3, axis=-1)
    case("CumSum", [f("a", 3), c(1)])
    case("Trilu", [f("a", "a"), c(0)], upper=0)
    case("Trilu", [f(3)], upper=1)
    case("MatMul", [f("batch", "seq", 8), f(8, 4)])
    case("MatMul", [f("batch", 12, "seq", 32), f("batch", 12, 32, "seq")])
    case("MatMul", [f(8), f(8, 4)])
    case("MatMul", [f(4, 8), f(8)])
    case("MatMul", [f(8), f(8)])
    case("MatMul", [f(2, 8), f(7, 4)])
    case("MatMul", [f(), f(7, 4)])
    case("MatMul", [f(5, 1, 2, 8), f(6, 8, 4)])
    case("Gemm", [f("batch", 8), f(8, 4), f(4)])
    case("Gemm", [f(8, "batch"), f(4, 8), f("batch", 4)], transA=1, transB=1)
    case("Gemm", [f(2, 8), f(7, 4)])
    case("MatMulInteger", [t("u8", "batch", 8), t("i8", 8, 4), t("u8")])
    case("MatMulInteger", [t("u8", 2, 8), t("i8", 8, 4), t("u8"), t("i8", 4)])
    case("MatMulInteger", [t("f32", 2, 8), t("i8", 8, 4)])
    case("DynamicQuantizeLinear", [f("batch", 8)], outputs=3)
    for axis in [0, 1, -1]:
        case("Gather", [f("a", 5), t("i64", "b", 2)], axis=axis)
    case("Gather", [f(5, 6), c(2)], axis=0)
    case("Gather", [f(5, 6), f(2)], axis=0)
    case("Gather", [f(5), t("i32", 2)], axis=1)
    case("GatherElements", [f(5, 6), t("i64", 5, 2)], axis=1)
    case("GatherElements", [f(5, 6), t("i64", 2)], axis=1)
    for axis in [0, -1]:
        case("Concat", [f(2, 3), f(2, 3)], axis=axis)
    case("Concat", [f("a", 3), f("a", 4)], axis=1)
    case("Concat", [f("a", 3), f("b", 3)], axis=0)
    case("Concat", [f(2, 3), f(3, 3)], axis=1)
    case("Concat", [f(2, 3), f(3)], axis=0)
    for opset in [17, 18]:
        case("Split", [f("a", 6), c([2, 4])], outputs=2, axis=1, opset=opset)
        case("Split", [f("a", 6), c([2, 3])], outputs=2, axis=1, opset=opset)
    case("Split", [f("a", 6)], outputs=3, axis=-1)
    case("Split", [f("a", 7)], outputs=3, axis=1, num_outputs=3, opset=18)
    for start, end, step in [(0, 3, 1), (1, -1, 1), (-3, 2**63 - 1, 1), (5, 1, 1), (-1, -100, -1), (0, 100, 2), (1, 9, 3), (4, 0, -2)]:
        case("Slice", [f("a", 7), c([start]), c([end]), c([1]), c([step])])
    case("Slice", [f("a", 7), c([0]), c([2**63 - 1]), c([0])])
    case("Slice", [f("a", 7), c([1]), c([3]), c([0])])
    case("Slice", [f(4, 7), c([1, 2]), c([3, 4])])
    case("Slice", [f(4, 7), c([1]), c([3]), c([2])])
    case("Shape", [f("a", 7, 2)])
    case("Shape", [f("a", 7, 2)], start=1)
    case("Shape", [f("a", 7, 2)], start=-2, end=-1)
    for shape in [[0, 0, 2, 4], [0, -1], [-1, 8], [0, 0, 8], [2, -1]]:
        case("Reshape", [f("a", "b", 8), c(shape)])
    for shape in [[6, 4], [-1, 3], [0, 2, -1], [7, -1], [2, 3, 4, 1], [-1, -1]]:
        case("Reshape", [f(2, 3, 4), c(shape)])
    case("Reshape", [f(0, 3), c([0, 3])])
    case("Transpose", [f("a", 3, "b")], perm=[2, 0, 1])
    case("Transpose", [f("a", 3, "b")])
    case("Transpose", [f("a", 3, "b")], perm=[0, 1])
    case("Transpose", [f("a", 3, "b")], perm=[0, 1, 1])
    for axes in [[0], [-1], [1, 2], [0, 3], [1, 1], [5]]:
        case("Unsqueeze", [f("a", 3), c(axes)])
    for axes in [[0], [-1], [0, 2], [1]]:
        case("Squeeze", [f(1, 3, 1), c(axes)])
    case("Squeeze", [f(1, 3, 1)])
    case("Expand", [f("a", 1, 3), c([1, 5, 1])])
    case("Expand", [f(2, 1), c([3, 2, 4])])
    case("Expand", [f(2, 3), c([3, 2, 4])])
    case("ConstantOfShape", [c([2, 3])])
    case("Range", [c(0), c(5), c(2)])
    case("Range", [c(5), c(0), c(-2)])
    case("Range", [c(3), c(0), c(1)])
    for op in ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"]:
        case(op, [f("a", 3, 4)], axes=[-1], keepdims=1)
        case(op, [f("a", 3, 4)], axes=[0, 2], keepdims=0)
        case(op, [f("a", 3, 4)], keepdims=0)
        case(op, [f("a", 3, 4), c([1])], keepdims=0, opset=18)
        case(op, [f("a", 3, 4)], axes=[1], keepdims=0, opset=18)
        case(op, [f("a", 3, 4), c([1])], keepdims=0)
    case("ReduceSum", [f("a", 3, 4), c([1, -1])], keepdims=1)
    case("ReduceSum", [f("a", 3, 4)], keepdims=1, noop_with_empty_axes=1)
    case("ReduceSum", [f("a", 3, 4), c([3])])
    case("ReduceSum", [t("u8", 3)])


def value(name, spec):
    return helper.make_tensor_value_info(name, TYPES[spec["type"]], spec["shape"])


def judge(spec):
    inputs, constants = [], []
    for index, given in enumerate(spec["inputs"]):
        if "numbers" in given:
            array = np.array(given["numbers"], dtype=NUMPY[given["type"]]).reshape(given["shape"])
            constants.append(numpy_helper.from_array(array, f"x{index}"))
        else:
            inputs.append(value(f"x{index}", given))
    names = [f"y{index}" for index in range(spec.pop("names"))]
    spec["outputs"] = names
    node = helper.make_node(
        spec["op"], [f"x{index}" for index in range(len(spec["inputs"]))], names, name="node", **spec["attributes"]
    )
    outputs = [helper.make_empty_tensor_value_info(name) for name in names]
    graph = helper.make_graph([node], "case", inputs, outputs, constants)
    ir_version = {17: 8, 18: 8}[spec["opset"]]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", spec["opset"])], ir_version=ir_version)
    try:
        onnx.checker.check_node(node, checker_context(spec["opset"], ir_version))
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        spec["outputs"] = None
        return
    spec["outputs"] = [described(output.type.tensor_type) for output in model.graph.output]


def checker_context(opset, ir_version):
    context = onnx.checker.C.CheckerContext()
    context.ir_version = ir_version
    context.opset_imports = {"": opset}
    return context


def described(tensor):
    sizes = []
    for dim in tensor.shape.dim:
        which = dim.WhichOneof("value")
        sizes.append(None if which is None or dim.dim_param.startswith("unk__") else getattr(dim, which))
    return {"type": NAMES[tensor.elem_type], "shape": sizes if tensor.HasField("shape") else None}


def main(path):
    table()
    for spec in CASES:
        judge(spec)
    with open(path, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(spec) for spec in CASES) + "\n]\n")
    refused = sum(spec["outputs"] is None for spec in CASES)
    print(f"{len(CASES)} cases, {refused} of them refused")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: graph_golden.py FILE")
    main(sys.argv[1])
