//! Charts of one run, drawn by plotters to SVG (for the page) or PNG.
//!
//! The page gives the colours of an SVG their meaning in light and dark by style rules on the colour values below, so
//! what is drawn here need not know the theme. Text is laid out with the embedded font in both forms; no font of the
//! system is needed.

mod bars;
mod draw;
mod figures;

pub(super) use bars::{Bars, Series};
pub use draw::{ChartError, png};
pub(super) use draw::{FONT, FONT_SIZE, INK, LINES, PAPER, Palette, font, svg};
pub(super) use figures::{Chart, Line, all, chart, curve, percentiles, scaling};
