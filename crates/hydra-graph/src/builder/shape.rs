//! Methods for operators that move elements: picking, cutting, joining, reshaping.

use super::{GraphBuilder, Value};
use crate::element::Element;
use crate::error::GraphError;
use crate::model::Attribute;
use crate::tensor::Tensor;

impl GraphBuilder<'_> {
    /// `Gather`: slices of `data` along `axis`, in the order of `indices`.
    ///
    /// # Shapes
    /// - `data`: `[before.., size, after..]`
    /// - `indices`: any shape, integers
    /// - returns: `[before.., indices.., after..]`
    ///
    /// # Errors
    /// [`GraphError::Op`] when there is no such axis or the indices are no integers.
    pub fn gather(&mut self, data: Value, indices: Value, axis: i64) -> Result<Value, GraphError> {
        self.one("Gather", &[data, indices], &[("axis", Attribute::Int(axis))])
    }

    /// `GatherElements`: one element of `data` for each index, the other axes in step.
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shapes do not fit.
    pub fn gather_elements(&mut self, data: Value, indices: Value, axis: i64) -> Result<Value, GraphError> {
        self.one("GatherElements", &[data, indices], &[("axis", Attribute::Int(axis))])
    }

    /// `Concat`: values end to end along `axis`. Symbolic sizes add up by [`Dim::sum`](crate::Dim::sum).
    ///
    /// # Errors
    /// [`GraphError::Op`] when the other axes differ, or without values.
    pub fn concat(&mut self, values: &[Value], axis: i64) -> Result<Value, GraphError> {
        self.one("Concat", values, &[("axis", Attribute::Int(axis))])
    }

    /// `Split` into parts of the given sizes along `axis`.
    ///
    /// # Errors
    /// [`GraphError::Op`] when the sizes do not add up to the axis.
    ///
    /// # Panics
    /// When a size is above `i64::MAX`.
    pub fn split(&mut self, x: Value, axis: i64, sizes: &[usize]) -> Result<Vec<Value>, GraphError> {
        let parts = self.sizes(sizes);
        self.node("Split", &[Some(x), Some(parts)], &[("axis", Attribute::Int(axis))], sizes.len())
    }

    /// `Slice` of one axis: the indices `start..end`, where a negative bound counts from the end of the axis and
    /// `i64::MAX` is the end.
    ///
    /// # Errors
    /// [`GraphError::Op`] when there is no such axis.
    pub fn slice(&mut self, x: Value, axis: i64, start: i64, end: i64) -> Result<Value, GraphError> {
        let [start, end, axis] = [start, end, axis].map(|number| self.ints(&[number]));
        self.one("Slice", &[x, start, end, axis], &[])
    }

    /// `Slice` of one axis with bounds that are known when the graph runs.
    ///
    /// # Shapes
    /// - `start`, `end`: `[1]`
    ///
    /// # Errors
    /// [`GraphError::Op`] when there is no such axis or a bound has another shape.
    pub fn slice_between(&mut self, x: Value, axis: i64, start: Value, end: Value) -> Result<Value, GraphError> {
        let axis = self.ints(&[axis]);
        self.one("Slice", &[x, start, end, axis], &[])
    }

    /// `Reshape` to constant sizes: 0 keeps the size of the same axis, one -1 takes what is left.
    ///
    /// # Errors
    /// [`GraphError::Op`] when the number of elements would not surely stay.
    pub fn reshape(&mut self, x: Value, shape: &[i64]) -> Result<Value, GraphError> {
        let shape = self.ints(shape);
        self.reshape_to(x, shape)
    }

    /// `Reshape` to a shape that was computed from shapes.
    ///
    /// # Shapes
    /// - `shape`: `[rank]`, `i64`
    ///
    /// # Errors
    /// [`GraphError::Op`] when the number of elements would not surely stay.
    pub fn reshape_to(&mut self, x: Value, shape: Value) -> Result<Value, GraphError> {
        self.one("Reshape", &[x, shape], &[])
    }

    /// `Transpose`: axis `i` of the result is axis `order[i]` of `x`.
    ///
    /// # Errors
    /// [`GraphError::Op`] when `order` does not name each axis once.
    pub fn transpose(&mut self, x: Value, order: &[i64]) -> Result<Value, GraphError> {
        self.one("Transpose", &[x], &[("perm", Attribute::Ints(order.to_vec()))])
    }

    /// `Unsqueeze`: new axes of size 1 at the places `axes` of the result.
    ///
    /// # Errors
    /// [`GraphError::Op`] when the places repeat or lie outside.
    pub fn unsqueeze(&mut self, x: Value, axes: &[i64]) -> Result<Value, GraphError> {
        let axes = self.ints(axes);
        self.one("Unsqueeze", &[x, axes], &[])
    }

    /// `Squeeze`: drops axes of size 1.
    ///
    /// # Errors
    /// [`GraphError::Op`] when an axis has another size.
    pub fn squeeze(&mut self, x: Value, axes: &[i64]) -> Result<Value, GraphError> {
        let axes = self.ints(axes);
        self.one("Squeeze", &[x, axes], &[])
    }

    /// `Expand` to constant sizes: axes broadcast both ways, so 1 keeps the size of an axis.
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shapes do not broadcast.
    ///
    /// # Panics
    /// When a size is above `i64::MAX`.
    pub fn expand(&mut self, x: Value, shape: &[usize]) -> Result<Value, GraphError> {
        let shape = self.sizes(shape);
        self.expand_to(x, shape)
    }

    /// `Expand` to a shape that was computed from shapes.
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shapes do not broadcast.
    pub fn expand_to(&mut self, x: Value, shape: Value) -> Result<Value, GraphError> {
        self.one("Expand", &[x, shape], &[])
    }

    /// `Shape`: the sizes of all axes, `[rank]`, `i64`.
    ///
    /// # Errors
    /// [`GraphError::ForeignValue`].
    pub fn shape_of(&mut self, x: Value) -> Result<Value, GraphError> {
        self.one("Shape", &[x], &[])
    }

    /// `Shape` of one axis, `[1]`, `i64`.
    ///
    /// # Errors
    /// [`GraphError::ForeignValue`].
    pub fn size_of(&mut self, x: Value, axis: usize) -> Result<Value, GraphError> {
        let start = i64::try_from(axis).unwrap_or(i64::MAX);
        let bounds = [("start", Attribute::Int(start)), ("end", Attribute::Int(start.saturating_add(1)))];
        self.one("Shape", &[x], &bounds)
    }

    /// `ConstantOfShape`: one number everywhere.
    ///
    /// # Shapes
    /// - `shape`: `[rank]`, `i64`
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shape is not known, not even by symbols.
    ///
    /// # Panics
    /// Never: the number fills a tensor of one element.
    pub fn constant_of_shape<T: Element>(&mut self, shape: Value, number: T) -> Result<Value, GraphError> {
        let number = Tensor::new(&[1], vec![number]).expect("one element");
        self.one("ConstantOfShape", &[shape], &[("value", Attribute::Tensor(number))])
    }

    /// `Range`: `start`, `start + step`, ... below `limit`; the three are scalars of one type.
    ///
    /// # Errors
    /// [`GraphError::Op`] when one is not a scalar, or the types differ.
    pub fn range(&mut self, start: Value, limit: Value, step: Value) -> Result<Value, GraphError> {
        self.one("Range", &[start, limit, step], &[])
    }

    /// `Trilu` with the upper triangle set to 0: row `i` keeps columns up to `i + diagonal`.
    ///
    /// # Errors
    /// [`GraphError::Op`] when `x` has fewer than two axes.
    pub fn lower_triangle(&mut self, x: Value, diagonal: i64) -> Result<Value, GraphError> {
        let diagonal = self.scalar(diagonal);
        self.one("Trilu", &[x, diagonal], &[("upper", Attribute::Int(0))])
    }

    fn sizes(&mut self, sizes: &[usize]) -> Value {
        let sizes: Vec<i64> = sizes.iter().map(|size| i64::try_from(*size).expect("a size fits i64")).collect();
        self.ints(&sizes)
    }
}
