//! The decoder as a graph.

use hydra_graph::{
    BlockMatrix, CachedAttention, DataType, Dim, GemmOptions, GraphBuilder, Model, Reduced, Tensor, Value,
};

use super::quantize::{BLOCK, Blocks, from_4_bits, to_8_bits};
use super::{DecoderConfig, DecoderError, DecoderOptions, DecoderPrecision};
use crate::gguf::{FourBitBlocks, Gguf};

/// Builds the graph of a model. Names and shapes of inputs and outputs are those of [`DecoderOptions`].
pub(super) fn build(
    gguf: &Gguf,
    config: &DecoderConfig,
    options: &DecoderOptions,
    metadata: &[(&str, String)],
) -> Result<Model<'static>, DecoderError> {
    if let Some(&layer) = options.hidden_states().iter().find(|layer| **layer >= config.layers) {
        return Err(DecoderError::Layer { layer, layers: config.layers });
    }
    if options.chosen_precision() == DecoderPrecision::Int4 && !gguf.has_four_bit_blocks() {
        return Err(DecoderError::NoFourBits);
    }
    let mut graph = GraphBuilder::new("decoder");
    graph.set_producer("hydra-export", env!("CARGO_PKG_VERSION"));
    for (key, value) in metadata {
        graph.set_metadata(key, value);
    }
    let mut writer = Writer { graph, gguf, config, precision: options.chosen_precision() };
    writer.decoder(options)?;
    Ok(writer.graph.finish()?)
}

struct Writer<'g> {
    graph: GraphBuilder<'static>,
    gguf: &'g Gguf,
    config: &'g DecoderConfig,
    precision: DecoderPrecision,
}

/// What every layer's attention reads besides the tokens and its own cache.
#[derive(Clone, Copy)]
struct Shared {
    positions: Value,
    bias: Value,
    lengths: Value,
    total: Value,
    cosines: Value,
    sines: Value,
}

impl Writer<'_> {
    fn decoder(&mut self, options: &DecoderOptions) -> Result<(), DecoderError> {
        let config = self.config;
        let tokens = [Dim::from("batch"), Dim::from("seq")];
        let read = if options.takes_embeddings() {
            let shape = [tokens[0].clone(), tokens[1].clone(), Dim::Fixed(config.hidden)];
            Some(self.graph.input("inputs_embeds", DataType::F32, shape)?)
        } else {
            None
        };
        let ids = match read {
            None => Some(self.graph.input("input_ids", DataType::I64, tokens.clone())?),
            Some(_) => None,
        };
        let positions = self.graph.input("position_ids", DataType::I64, tokens)?;
        let bias = self.graph.input("attention_bias", DataType::F32, ["bias_batch", "bias_heads", "seq", "total"])?;
        let lengths = self.graph.input("last_positions", DataType::I32, ["batch"])?;
        let total = self.graph.input("total_length", DataType::I32, [0_usize; 0])?;
        let rows = self.graph.input("logit_rows", DataType::I64, ["rows"])?;
        let [cosines, sines] = self.rotations()?;
        let shared = Shared { positions, bias, lengths, total, cosines, sines };
        let table = self.embeddings("token_embd.weight")?;
        let mut x = match (read, ids) {
            (Some(read), _) => read,
            (None, Some(ids)) => self.embed(table, ids)?,
            (None, None) => unreachable!("one of the two is an input"),
        };
        let mut outputs = Vec::new();
        for layer in 0..config.layers {
            let (next, keys, values) = self.layer(layer, x, shared)?;
            x = next;
            outputs.push((format!("present.{layer}.key"), keys));
            outputs.push((format!("present.{layer}.value"), values));
            if options.hidden_states().contains(&layer) {
                outputs.push((format!("hidden.{layer}"), x));
            }
        }
        let flat = self.graph.reshape(x, &[-1, signed(config.hidden)])?;
        let asked = self.graph.gather(flat, rows, 0)?;
        let normed = self.norm("output_norm.weight", asked)?;
        let logits = self.logits(table, normed)?;
        self.graph.output("logits", logits)?;
        for (name, value) in outputs {
            self.graph.output(&name, value)?;
        }
        Ok(())
    }

    fn layer(&mut self, layer: usize, x: Value, shared: Shared) -> Result<(Value, Value, Value), DecoderError> {
        let config = self.config;
        let cache = [Dim::from("batch"), Dim::Fixed(config.shared), Dim::from("cache"), Dim::Fixed(config.head_size)];
        let past_keys = self.graph.input(&format!("past.{layer}.key"), DataType::F32, cache.clone())?;
        let past_values = self.graph.input(&format!("past.{layer}.value"), DataType::F32, cache)?;
        let name = |part: &str| format!("blk.{layer}.{part}");

        let normed = self.norm(&name("attn_norm.weight"), x)?;
        let parts = [
            self.rotated(name("attn_q.weight"), config.heads),
            self.rotated(name("attn_k.weight"), config.shared),
            Rows::lying(name("attn_v.weight")),
        ];
        let mut packed = self.product(&name("attn_qkv"), normed, &parts, config.hidden)?;
        if config.has_bias {
            let parts = [
                self.rotated(name("attn_q.bias"), config.heads),
                self.rotated(name("attn_k.bias"), config.shared),
                Rows::lying(name("attn_v.bias")),
            ];
            let bias = self.weights(&parts, 1)?;
            let bias = self.graph.initializer(&name("attn_qkv.bias"), Tensor::new(&[bias.len()], bias)?)?;
            packed = self.graph.add(packed, bias)?;
        }
        let Shared { positions, bias, lengths, total, cosines, sines } = shared;
        let (heads, shared) = (config.heads, config.shared);
        let attended = self.graph.cached_attention(CachedAttention {
            packed,
            past_keys,
            past_values,
            lengths,
            total,
            cosines,
            sines,
            positions,
            bias,
            heads,
            shared,
        })?;
        let part = [Rows::lying(name("attn_output.weight"))];
        let mixed = self.product(&name("attn_output"), attended.output, &part, heads * config.head_size)?;
        let x = self.graph.add(x, mixed)?;

        let normed = self.norm(&name("ffn_norm.weight"), x)?;
        let parts = [Rows::lying(name("ffn_gate.weight")), Rows::lying(name("ffn_up.weight"))];
        let both = self.product(&name("ffn_gate_up"), normed, &parts, config.hidden)?;
        let halves = self.graph.split(both, -1, &[config.intermediate; 2])?;
        let open = self.graph.sigmoid(halves[0])?;
        let gate = self.graph.mul(halves[0], open)?;
        let gated = self.graph.mul(gate, halves[1])?;
        let part = [Rows::lying(name("ffn_down.weight"))];
        let fed = self.product(&name("ffn_down"), gated, &part, config.intermediate)?;
        let x = self.graph.add(x, fed)?;
        Ok((x, attended.keys, attended.values))
    }

    fn norm(&mut self, name: &str, x: Value) -> Result<Value, DecoderError> {
        let scale = self.graph.initializer(name, Tensor::new(&[self.config.hidden], self.gguf.tensor(name)?)?)?;
        Ok(self.graph.rms_normalization(x, scale, self.config.epsilon)?)
    }

    /// Rows of queries or keys, in the order of rotation in halves.
    fn rotated(&self, name: String, heads: usize) -> Rows {
        if !self.config.interleaved {
            return Rows::lying(name);
        }
        let size = self.config.head_size;
        let from = |row: usize| {
            let (head, at) = (row / size, row % size);
            head * size + 2 * (at % (size / 2)) + at / (size / 2)
        };
        Rows { name, order: Some((0..heads * size).map(from).collect()) }
    }

    /// The numbers of some tensors, one after the other.
    fn weights(&self, parts: &[Rows], inner: usize) -> Result<Vec<f32>, DecoderError> {
        let mut weights = Vec::new();
        for part in parts {
            part.put(&self.gguf.tensor(&part.name)?, inner, &mut weights);
        }
        Ok(weights)
    }

    /// The same as blocks, if the file has 4 bits a weight in all of them.
    fn four_bits(&self, parts: &[Rows], inner: usize) -> Result<Option<FourBitBlocks>, DecoderError> {
        let mut all = FourBitBlocks::default();
        for part in parts {
            let Some(blocks) = self.gguf.four_bit_blocks(&part.name)? else { return Ok(None) };
            part.put(&blocks.numbers, inner, &mut all.numbers);
            part.put(&blocks.scales, inner / BLOCK, &mut all.scales);
            part.put(&blocks.minima, inner / BLOCK, &mut all.minima);
        }
        Ok(Some(all))
    }

    /// `x` times a matrix `[columns, inner]` that is made of some tensors, in the numbers of this export.
    fn product(&mut self, name: &str, x: Value, parts: &[Rows], inner: usize) -> Result<Value, DecoderError> {
        let four_bits = match self.precision {
            DecoderPrecision::Int4 => self.four_bits(parts, inner)?,
            DecoderPrecision::Fp32 | DecoderPrecision::Int8 => None,
        };
        let mut blocks = match four_bits {
            Some(blocks) => from_4_bits(&blocks, inner),
            None if self.precision == DecoderPrecision::Fp32 => {
                let matrix = turned(&self.weights(parts, inner)?, inner)?;
                let matrix = self.graph.initializer(&format!("{name}.weight"), matrix)?;
                return Ok(self.graph.mat_mul(x, matrix)?);
            }
            None => to_8_bits(&self.weights(parts, inner)?, inner),
        };
        let count = inner.div_ceil(BLOCK);
        let columns = blocks.scales.len() / count;
        let offsets = blocks.offsets.take();
        let matrix = self.matrix(name, blocks, inner, columns)?;
        let product = self.graph.mat_mul_blocks(x, matrix)?;
        let Some(offsets) = offsets else { return Ok(product) };
        let offsets = self.graph.initializer(&format!("{name}.offsets"), Tensor::new(&[count, columns], offsets)?)?;
        let in_blocks = self.graph.reshape(x, &[0, 0, signed(count), signed(BLOCK)])?;
        let sums = self.graph.reduce_sum(in_blocks, &[-1], Reduced::Drop)?;
        let rest = self.graph.mat_mul(sums, offsets)?;
        Ok(self.graph.add(product, rest)?)
    }

    fn matrix(
        &mut self,
        name: &str,
        blocks: Blocks,
        inner: usize,
        columns: usize,
    ) -> Result<BlockMatrix, DecoderError> {
        let (count, bits) = (inner.div_ceil(BLOCK), blocks.bits);
        let numbers = Tensor::new(&[columns, count, BLOCK * bits / 8], blocks.numbers)?;
        let scales = Tensor::new(&[columns, count], blocks.scales)?;
        Ok(BlockMatrix {
            blocks: self.graph.initializer(&format!("{name}.blocks"), numbers)?,
            scales: self.graph.initializer(&format!("{name}.scales"), scales)?,
            zero_points: None,
            inner,
            columns,
            bits,
            block: BLOCK,
        })
    }

    /// The table of embeddings, with 8 bits in both precisions of fewer bits, as in the usual 4-bit files: it decides
    /// every token where it is the output matrix.
    fn embeddings(&mut self, name: &str) -> Result<Table, DecoderError> {
        let (rows, columns) = (self.config.vocabulary, self.config.hidden);
        let numbers = self.gguf.tensor(name)?;
        if self.precision == DecoderPrecision::Fp32 {
            return Ok(Table::Whole(self.graph.initializer(name, Tensor::new(&[rows, columns], numbers)?)?));
        }
        let blocks = to_8_bits(&numbers, columns);
        self.matrix(name, blocks, columns, rows).map(Table::Blocks)
    }

    fn embed(&mut self, table: Table, ids: Value) -> Result<Value, DecoderError> {
        let matrix = match table {
            Table::Whole(table) => return Ok(self.graph.gather(table, ids, 0)?),
            Table::Blocks(matrix) => matrix,
        };
        let numbers = self.graph.gather(matrix.blocks, ids, 0)?;
        let numbers = self.graph.cast(numbers, DataType::F32)?;
        let middle = self.graph.scalar(128.0_f32);
        let numbers = self.graph.sub(numbers, middle)?;
        let scales = self.graph.gather(matrix.scales, ids, 0)?;
        let scales = self.graph.unsqueeze(scales, &[-1])?;
        let scaled = self.graph.mul(numbers, scales)?;
        let padded = matrix.inner.next_multiple_of(BLOCK);
        let x = self.graph.reshape(scaled, &[0, 0, signed(padded)])?;
        if padded == matrix.inner { Ok(x) } else { Ok(self.graph.slice(x, -1, 0, signed(matrix.inner))?) }
    }

    fn logits(&mut self, table: Table, x: Value) -> Result<Value, DecoderError> {
        let table = if self.config.tied { table } else { self.embeddings("output.weight")? };
        match table {
            Table::Blocks(matrix) => Ok(self.graph.mat_mul_blocks(x, matrix)?),
            Table::Whole(table) => {
                // A product with the table as it lies: a turned copy would be the largest tensor of a small model.
                let options = GemmOptions { transpose_b: true, ..GemmOptions::default() };
                let nothing = self.graph.constant(Tensor::new(&[1], vec![0.0_f32])?);
                Ok(self.graph.gemm(x, table, nothing, options)?)
            }
        }
    }

    /// Cosines and sines of every position: `[context, head_size / 2]`.
    fn rotations(&mut self) -> Result<[Value; 2], DecoderError> {
        let frequencies = &self.config.frequencies;
        let angles = |function: fn(f64) -> f64| -> Vec<f32> {
            let position = |position: u32| frequencies.iter().map(move |f| function(f64::from(position) * f));
            #[allow(clippy::cast_possible_truncation, reason = "rounded to the numbers of the graph")]
            (0..).take(self.config.context).flat_map(position).map(|number| number as f32).collect()
        };
        let (cosines, sines) = (angles(f64::cos), angles(f64::sin));
        let shape = [self.config.context, frequencies.len()];
        Ok([
            self.graph.initializer("rotation.cosines", Tensor::new(&shape, cosines)?)?,
            self.graph.initializer("rotation.sines", Tensor::new(&shape, sines)?)?,
        ])
    }
}

#[derive(Clone, Copy)]
enum Table {
    Whole(Value),
    Blocks(BlockMatrix),
}

/// Rows of a tensor, in the order in which they go into a matrix.
struct Rows {
    name: String,
    /// From which row each comes; none where they stay as they lie.
    order: Option<Vec<usize>>,
}

impl Rows {
    fn lying(name: String) -> Self {
        Self { name, order: None }
    }

    fn put<T: Copy>(&self, lying: &[T], width: usize, into: &mut Vec<T>) {
        match &self.order {
            None => into.extend_from_slice(lying),
            Some(order) => {
                order.iter().for_each(|from| into.extend_from_slice(&lying[from * width..(from + 1) * width]));
            }
        }
    }
}

/// `[columns, inner]` as `[inner, columns]`.
fn turned(weights: &[f32], inner: usize) -> Result<Tensor<'static>, DecoderError> {
    let columns = weights.len() / inner;
    let mut turned = vec![0.0; weights.len()];
    for (column, row) in weights.chunks_exact(inner).enumerate() {
        for (at, weight) in row.iter().enumerate() {
            turned[at * columns + column] = *weight;
        }
    }
    Ok(Tensor::new(&[inner, columns], turned)?)
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).expect("a size fits")
}
