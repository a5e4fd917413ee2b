//! The operators that only ONNX Runtime has: a graph that is right, one thing wrong with it at a time.

use hydra_graph::{
    Attribute, BlockMatrix, CachedAttention, DataType, Dim, GraphBuilder, GraphError, Model, OpError, Tensor,
};

/// `[rows, 40]` by a matrix of `bits` bits in blocks of 32: two blocks a row, the second of them not full.
fn product(bits: usize) -> Model<'static> {
    let mut graph = GraphBuilder::new("product");
    let x = graph.input("x", DataType::F32, [Dim::from("rows"), 40.into()]).unwrap();
    let bytes = 32 * bits / 8;
    let matrix = BlockMatrix {
        blocks: graph.initializer("blocks", Tensor::new(&[6, 2, bytes], vec![0_u8; 12 * bytes]).unwrap()).unwrap(),
        scales: graph.initializer("scales", Tensor::new(&[6, 2], vec![1.0_f32; 12]).unwrap()).unwrap(),
        zero_points: Some(
            graph.initializer("zeros", Tensor::new(&[6, bits / 4], vec![0_u8; 6 * bits / 4]).unwrap()).unwrap(),
        ),
        inner: 40,
        columns: 6,
        bits,
        block: 32,
    };
    let y = graph.mat_mul_blocks(x, matrix).unwrap();
    assert_eq!(graph.shape(y), [Dim::from("rows"), 6.into()]);
    graph.output("y", y).unwrap();
    graph.finish().unwrap()
}

/// Four query heads of size 8 that share two heads of keys and values, over a cache.
fn attention() -> Model<'static> {
    let mut graph = GraphBuilder::new("attention");
    let (batch, seq, total) = (Dim::from("batch"), Dim::from("seq"), Dim::from("total"));
    let cache = [batch.clone(), 2.into(), "cache".into(), 8.into()];
    let table = || Tensor::new(&[16, 4], vec![0.0_f32; 64]).unwrap();
    let read = CachedAttention {
        packed: graph.input("packed", DataType::F32, [batch.clone(), seq.clone(), 64.into()]).unwrap(),
        past_keys: graph.input("keys", DataType::F32, cache.clone()).unwrap(),
        past_values: graph.input("values", DataType::F32, cache).unwrap(),
        lengths: graph.input("lengths", DataType::I32, [batch.clone()]).unwrap(),
        total: graph.input("all", DataType::I32, [0_usize; 0]).unwrap(),
        cosines: graph.initializer("cosines", table()).unwrap(),
        sines: graph.initializer("sines", table()).unwrap(),
        positions: graph.input("positions", DataType::I64, [batch.clone(), seq.clone()]).unwrap(),
        bias: graph.input("bias", DataType::F32, [1.into(), 1.into(), seq.clone(), total]).unwrap(),
        heads: 4,
        shared: 2,
    };
    let attended = graph.cached_attention(read).unwrap();
    assert_eq!(graph.shape(attended.output), [batch.clone(), seq, 32.into()]);
    assert_eq!(graph.shape(attended.keys)[..2], [batch, 2.into()]);
    graph.output("y", attended.output).unwrap();
    graph.output("present_keys", attended.keys).unwrap();
    graph.output("present_values", attended.values).unwrap();
    graph.finish().unwrap()
}

/// What the check says of a model after a change.
fn fault(mut model: Model<'static>, change: impl FnOnce(&mut Model<'static>)) -> OpError {
    change(&mut model);
    match model.check() {
        Err(GraphError::Op { source, .. }) => *source,
        other => panic!("{other:?}"),
    }
}

/// Gives an input of the graph another shape.
fn reshaped(name: &'static str, shape: &[usize]) -> impl FnOnce(&mut Model<'static>) {
    let shape: Vec<Dim> = shape.iter().map(|size| Dim::Fixed(*size)).collect();
    move |model| model.inputs.iter_mut().find(|input| input.name == name).unwrap().tensor_type.shape = shape
}

fn replaced(name: &'static str, tensor: Tensor<'static>) -> impl FnOnce(&mut Model<'static>) {
    move |model| model.initializers.iter_mut().find(|known| known.name == name).unwrap().tensor = tensor
}

fn set(name: &'static str, value: i64) -> impl FnOnce(&mut Model<'static>) {
    move |model| drop(model.nodes[0].attributes.insert(name.to_owned(), Attribute::Int(value)))
}

#[test]
fn both_are_valid_as_they_were_built() {
    for model in [product(4), product(8), attention()] {
        model.check().unwrap();
    }
}

#[test]
fn a_matrix_of_blocks_has_the_layout_that_its_attributes_say() {
    for bits in [4, 8] {
        for (name, value) in
            [("K", 72), ("K", 8), ("N", 5), ("bits", 12 - i64::try_from(bits).unwrap()), ("block_size", 16)]
        {
            let found = fault(product(bits), set(name, value));
            assert!(matches!(found, OpError::DimsDiffer { .. }), "{name} {value}: {found:?}");
        }
        for (name, value) in
            [("K", 0), ("N", -1), ("bits", 3), ("block_size", 24), ("block_size", 8), ("block_size", 1 << 62)]
        {
            let found = fault(product(bits), set(name, value));
            assert!(
                matches!(&found, OpError::Attribute { attribute, .. } if attribute == name),
                "{name} {value}: {found:?}"
            );
        }
        let bytes = 32 * bits / 8;
        let blocks = |shape: &[usize]| Tensor::new(shape, vec![0_u8; shape.iter().product()]).unwrap();
        let wrong = fault(product(bits), replaced("blocks", blocks(&[6, 1, bytes])));
        assert!(matches!(wrong, OpError::DimsDiffer { .. }), "{wrong:?}");
        let flat = fault(product(bits), replaced("blocks", blocks(&[6, 2 * bytes])));
        assert!(matches!(flat, OpError::Rank { input: 1, .. }), "{flat:?}");
        let scales = fault(product(bits), replaced("scales", Tensor::new(&[2, 6], vec![1.0_f32; 12]).unwrap()));
        assert!(matches!(scales, OpError::DimsDiffer { .. }), "{scales:?}");
        let zeros = fault(product(bits), replaced("zeros", blocks(&[6, 5])));
        assert!(matches!(zeros, OpError::DimsDiffer { .. }), "{zeros:?}");
        let typed = fault(product(bits), replaced("zeros", Tensor::new(&[6, 2], vec![1.0_f32; 12]).unwrap()));
        assert!(matches!(typed, OpError::ElementType { input: 3, .. }), "{typed:?}");
        let other = fault(product(bits), reshaped("x", &[3, 41]));
        assert!(matches!(other, OpError::DimsDiffer { .. }), "{other:?}");
        let number = fault(product(bits), reshaped("x", &[]));
        assert!(matches!(number, OpError::Rank { input: 0, .. }), "{number:?}");
    }
}

#[test]
fn attention_over_a_cache_takes_shapes_that_fit_each_other() {
    for (name, shape) in [
        ("packed", &[1, 5, 63][..]),
        ("keys", &[1, 2, 7, 9]),
        ("keys", &[1, 4, 7, 8]),
        ("values", &[1, 2, 7, 4]),
        ("values", &[2, 2, 7, 8]),
        ("lengths", &[3]),
        ("positions", &[1, 6]),
        ("positions", &[3, 5]),
        ("bias", &[1, 1, 6, 9]),
    ] {
        let fixed = || {
            let mut model = attention();
            for (name, shape) in [
                ("packed", &[1, 5, 64][..]),
                ("keys", &[1, 2, 7, 8]),
                ("values", &[1, 2, 7, 8]),
                ("lengths", &[1]),
                ("positions", &[1, 5]),
                ("bias", &[1, 1, 5, 9]),
            ] {
                reshaped(name, shape)(&mut model);
            }
            model
        };
        let found = fault(fixed(), reshaped(name, shape));
        assert!(matches!(found, OpError::DimsDiffer { .. }), "{name} {shape:?}: {found:?}");
    }
    for (input, name, shape) in [
        (0, "packed", &[5, 64][..]),
        (3, "keys", &[2, 7, 8]),
        (4, "values", &[2]),
        (5, "lengths", &[]),
        (6, "all", &[1, 1]),
        (9, "positions", &[5]),
        (10, "bias", &[5, 9]),
    ] {
        let found = fault(attention(), reshaped(name, shape));
        assert!(matches!(found, OpError::Rank { input: at, .. } if at == input), "{name}: {found:?}");
    }
    for tensor in [Tensor::new(&[16, 3], vec![0.0_f32; 48]).unwrap(), Tensor::new(&[8, 4], vec![0.0_f32; 32]).unwrap()]
    {
        assert!(matches!(fault(attention(), replaced("sines", tensor)), OpError::DimsDiffer { .. }));
    }
}

#[test]
fn attention_over_a_cache_takes_these_inputs_and_heads_and_no_others() {
    for input in [0, 3, 4, 5, 6, 7, 8, 9, 10] {
        let found = fault(attention(), |model| model.nodes[0].inputs[input].clear());
        assert_eq!(found, OpError::MissingInput { input });
    }
    for input in [1, 2] {
        let found = fault(attention(), |model| model.nodes[0].inputs[input] = "packed".to_owned());
        assert_eq!(found, OpError::UnexpectedInput { input });
    }
    for count in [0, 1, 9, 10] {
        let found = fault(attention(), |model| model.nodes[0].inputs.truncate(count));
        assert_eq!(found, OpError::InputCount { least: 11, most: 11, got: count });
    }
    for (name, value) in
        [("num_heads", 0), ("num_heads", -4), ("num_heads", 3), ("kv_num_heads", 0), ("kv_num_heads", 3)]
    {
        let found = fault(attention(), set(name, value));
        assert!(matches!(found, OpError::Attribute { .. }), "{name} {value}: {found:?}");
    }
    assert!(matches!(fault(attention(), set("num_heads", i64::MAX - 1)), OpError::DimsDiffer { .. }));
}
