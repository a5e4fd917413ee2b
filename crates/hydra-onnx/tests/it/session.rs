//! Sessions, devices, and the library behind them.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hydra_onnx::{
    Arena, CudaError, Device, Encoder, EncoderOptions, Model, RuntimeError, Session, SessionError, SessionOptions,
    Spinning, load_runtime,
};
use hydra_testkit::{fetched, fixture};
use hydra_types::ndarray::{Array2, Ix2, Ix3, array};

use crate::onnx_writer::{Message, edge, model};
use crate::{bundle, chain};

fn session(options: SessionOptions) -> Session {
    Session::open(bundle("tiny-encoder").model(), &options).unwrap()
}

fn states(session: &mut Session, ids: &Array2<i64>) -> Vec<f32> {
    let (mask, types) = (Array2::<i64>::ones(ids.dim()), Array2::<i64>::zeros(ids.dim()));
    let inputs: [(&str, _); 3] = [
        ("token_type_ids", types.view().into()),
        ("input_ids", ids.view().into()),
        ("attention_mask", mask.view().into()),
    ];
    let outputs = session.run(&inputs).unwrap();
    outputs.f32::<Ix3>("last_hidden_state").unwrap().iter().copied().collect()
}

#[test]
fn options_change_how_and_never_what() {
    let ids = array![[2, 10, 11, 3], [2, 12, 13, 3]];
    let expected = states(&mut session(SessionOptions::default()), &ids);
    let one = NonZeroUsize::new(1).unwrap();
    for options in [
        SessionOptions::default().threads(one),
        SessionOptions::default().arena(Arena::Off),
        SessionOptions::default().spinning(Spinning::On),
        SessionOptions::default().device(Device::Cpu),
    ] {
        assert_eq!(states(&mut session(options), &ids), expected, "{options:?}");
    }
    for mut session in Session::open_many(bundle("tiny-encoder").model(), &SessionOptions::default(), 3).unwrap() {
        assert_eq!(states(&mut session, &ids), expected);
    }
    assert!(Session::open_many(bundle("tiny-encoder").model(), &SessionOptions::default(), 0).unwrap().is_empty());
}

#[test]
fn an_array_in_another_memory_order_is_the_same_array() {
    let ids = array![[2, 10, 11, 3], [2, 12, 13, 3]];
    let mut transposed = Array2::zeros((4, 2));
    transposed.assign(&ids.t());
    let mut session = session(SessionOptions::default());
    let expected = states(&mut session, &ids);
    assert_eq!(states(&mut session, &transposed.reversed_axes()), expected);
}

#[test]
fn wrong_inputs_are_named_before_anything_runs() {
    let mut session = session(SessionOptions::default());
    let (ids, floats, line) = (Array2::<i64>::zeros((1, 2)), Array2::<f32>::zeros((1, 2)), array![0_i64]);
    let error = session.run(&[("inputs", ids.view().into())]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the graph has no input `inputs`; it takes input_ids, attention_mask, token_type_ids"
    );
    let error = session.run(&[("input_ids", floats.view().into())]).unwrap_err();
    assert_eq!(error.to_string(), "the graph takes input_ids: i64 [batch, seq], and was given f32 [1, 2]");
    let error = session.run(&[("input_ids", line.view().into())]).unwrap_err();
    assert!(matches!(error, SessionError::InputMismatch { .. }));
    let error = session.run(&[("input_ids", ids.view().into())]).unwrap_err();
    assert!(matches!(error, SessionError::MissingInput { name } if name == "attention_mask"));
}

#[test]
fn an_output_is_asked_for_by_name_and_axes() {
    let mut session = session(SessionOptions::default());
    let (ids, mask) = (Array2::<i64>::zeros((1, 2)), Array2::<i64>::ones((1, 2)));
    let outputs = session
        .run(&[
            ("input_ids", ids.view().into()),
            ("attention_mask", mask.view().into()),
            ("token_type_ids", ids.view().into()),
        ])
        .unwrap();
    assert!(matches!(outputs.f32::<Ix3>("logits"), Err(SessionError::NoOutput { .. })));
    assert!(matches!(outputs.f32::<Ix2>("last_hidden_state"), Err(SessionError::NoOutput { axes: 2, .. })));
    assert_eq!(outputs.f32::<Ix3>("last_hidden_state").unwrap().dim(), (1, 2, 8));
}

#[test]
fn an_operator_that_refuses_its_inputs_is_an_error() {
    let mut session = session(SessionOptions::default());
    let (ids, mask) = (array![[9999_i64, 1]], Array2::<i64>::ones((1, 2)));
    let inputs = [
        ("input_ids", ids.view().into()),
        ("attention_mask", mask.view().into()),
        ("token_type_ids", mask.view().into()),
    ];
    assert!(matches!(session.run(&inputs), Err(SessionError::Run { .. })));
}

#[test]
fn a_graph_that_passes_the_check_and_means_nothing_is_refused_by_onnx_runtime() {
    let node = Message::new().bytes(1, "x").bytes(2, "y").bytes(4, "NoSuchOperator");
    let graph = Message::new()
        .message(1, &node)
        .bytes(2, "g")
        .message(11, &edge("x", 1, &[2]))
        .message(12, &edge("y", 1, &[2]));
    let model = Model::new(model(&graph).finish()).unwrap();
    assert!(matches!(Session::open(&model, &SessionOptions::default()), Err(SessionError::Open { .. })));
}

#[test]
fn cuda_that_cannot_be_had_is_an_error_that_says_why() {
    let options = SessionOptions::default().device(Device::Cuda { id: 0 });
    let error = Session::open(bundle("tiny-encoder").model(), &options).unwrap_err();
    let SessionError::Cuda { id: 0, source } = &error else { panic!("{}", chain(&error)) };
    if cfg!(feature = "cuda") {
        // The library that setup fetches is for the processor alone.
        assert!(matches!(source, CudaError::CpuLibrary { .. }), "{}", chain(&error));
    } else {
        assert!(matches!(source, CudaError::NotBuilt));
    }
}

#[test]
fn cuda_or_cpu_falls_back_and_tells_the_truth() {
    let options = SessionOptions::default().device(Device::CudaOrCpu);
    let warnings = Warnings::default();
    let device = tracing::subscriber::with_default(warnings.clone(), || session(options).device());
    assert_eq!((device, warnings.0.load(Ordering::Relaxed)), (Device::Cpu, 1));
    let options = EncoderOptions::default().session(options);
    assert_eq!(Encoder::open(&bundle("tiny-encoder"), &options).unwrap().device(), Device::Cpu);
}

#[test]
fn a_library_that_cannot_be_used_says_how_to_fix_it_and_the_next_one_is_tried() {
    let missing = load_runtime(Path::new("/nowhere/libonnxruntime.so"));
    // Another test of this process may have loaded the library already: then that is the answer.
    match missing {
        Err(RuntimeError::Load { .. }) => {
            assert!(missing.unwrap_err().to_string().contains("cargo xtask setup"));
            let foreign = load_runtime(&fixture("bundles/golden.json"));
            assert!(matches!(foreign, Err(RuntimeError::Load { .. })));
            if cfg!(target_os = "linux") {
                let other = load_runtime(Path::new("libm.so.6"));
                assert!(matches!(other, Err(RuntimeError::NotOnnxRuntime { .. })));
            }
        }
        Err(RuntimeError::AlreadyLoaded { .. }) => {}
        other => panic!("{other:?}"),
    }
    let library = fetched("onnxruntime/libonnxruntime.so");
    if std::env::var_os("ORT_DYLIB_PATH").is_some_and(|path| Path::new(&path) == library) {
        load_runtime(&library).unwrap();
        load_runtime(&library).unwrap();
        let other = load_runtime(Path::new("/nowhere/libonnxruntime.so")).unwrap_err();
        assert!(matches!(other, RuntimeError::AlreadyLoaded { .. }));
    }
}

/// Counts the warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN && metadata.target().starts_with("hydra_onnx")
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
