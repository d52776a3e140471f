//! Drawing a chart: the same strokes for SVG and PNG.

use super::figures::{Axis, Chart};
use crate::record::Stored;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

/// Width and height of a chart. Narrow, so that its text can still be read on a phone.
pub(super) const SIZE: (u32, u32) = (560, 340);
/// Width and height of a picture, which stands alone: a chart with its title and the key of its lines.
const PICTURE: (u32, u32) = (760, 500);
/// Height of a title, and of a row of the key.
const TITLE: u32 = 46;
const ROW: u32 = 28;
/// Left and right of a picture's texts, and between the entries of the key.
const GAP: u32 = 24;
/// A stroke of a line's colour in the key, and what stands between it and the name.
const SAMPLE: u32 = 32;
pub(in crate::report) const FONT: &str = "sans-serif";
/// Plotters writes it into an SVG as 1/1.24 of this: 15 on a desk, 9 on a phone of 390 pixels.
pub(in crate::report) const FONT_SIZE: u32 = 19;
/// How many lines a chart can tell apart.
pub(in crate::report) const LINES: usize = 8;
/// Text.
pub(in crate::report) const INK: RGBColor = RGBColor(0x33, 0x36, 0x3B);
pub(super) const GRID: RGBColor = RGBColor(0xDD, 0xE0, 0xE4);
pub(in crate::report) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);

/// The colours of the lines, in light and in dark: Okabe and Ito's palette for all kinds of eyes, darkened where it was
/// too pale on white, lightened for dark paper.
pub(in crate::report) struct Palette;

impl Palette {
    /// On white.
    pub(in crate::report) const LIGHT: [RGBColor; LINES] = [
        RGBColor(0x00, 0x72, 0xB2),
        RGBColor(0xD5, 0x5E, 0x00),
        RGBColor(0x00, 0x8A, 0x65),
        RGBColor(0xB8, 0x4C, 0x8A),
        RGBColor(0xA8, 0x74, 0x00),
        RGBColor(0x2A, 0x8F, 0xC4),
        RGBColor(0x11, 0x13, 0x18),
        RGBColor(0x7A, 0x55, 0xC7),
    ];
    /// The same lines on black.
    pub(in crate::report) const DARK: [RGBColor; LINES] = [
        RGBColor(0x4F, 0xB3, 0xEE),
        RGBColor(0xFF, 0x8B, 0x3D),
        RGBColor(0x2F, 0xCB, 0x9E),
        RGBColor(0xEE, 0x92, 0xC4),
        RGBColor(0xF0, 0xBE, 0x45),
        RGBColor(0x8C, 0xD0, 0xF5),
        RGBColor(0xF1, 0xF3, 0xF6),
        RGBColor(0xB7, 0x9C, 0xF2),
    ];
}

/// A chart cannot be drawn: no such case is known, but plotters may find one.
#[derive(Debug, thiserror::Error)]
#[error("chart {name} cannot be drawn: {problem}")]
pub struct ChartError {
    name: &'static str,
    problem: String,
}

impl ChartError {
    pub(in crate::report) const fn new(name: &'static str, problem: String) -> Self {
        Self { name, problem }
    }
}

/// Draws a chart as SVG without size, so that the page decides.
pub(in crate::report) fn svg(chart: &Chart) -> Result<String, ChartError> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        on(chart, &root)?;
        root.present().map_err(|e| problem(chart, e))?;
    }
    let sized = format!(r#"<svg width="{}" height="{}" "#, SIZE.0, SIZE.1);
    let head = format!(r#"<svg role="img" aria-label="{}" "#, chart.title);
    Ok(text.replacen(&sized, &head, 1))
}

/// Draws every chart of a result as PNG into a folder that exists, and gives the files' names.
///
/// # Errors
/// When a chart cannot be drawn or its file cannot be written.
pub fn png(stored: &Stored, folder: &Path) -> Result<Vec<String>, ChartError> {
    let draw = |chart: &Chart| {
        let name = format!("{}.png", chart.name);
        let path = folder.join(&name);
        let root = BitMapBackend::new(&path, PICTURE).into_drawing_area();
        root.fill(&PAPER).map_err(|e| problem(chart, e))?;
        picture(chart, &root)?;
        root.present().map_err(|e| problem(chart, e))?;
        Ok(name)
    };
    super::all(stored).iter().map(draw).collect()
}

fn problem(chart: &Chart, error: impl std::fmt::Display) -> ChartError {
    ChartError { name: chart.name, problem: error.to_string() }
}

/// Registers the embedded font once: plotters then measures text without any font of the system.
pub(in crate::report) fn font() -> Result<(), String> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let register = || {
        let font = include_bytes!("../font/DejaVuSans-Latin.ttf");
        plotters::style::register_font(FONT, FontStyle::Normal, font).is_ok()
    };
    if *REGISTERED.get_or_init(register) { Ok(()) } else { Err("the embedded font cannot be read".to_owned()) }
}

/// An axis of ours as plotters wants it: labels stand where the axis says, and nowhere else.
pub(super) struct Scale<'a>(pub(super) &'a Axis);

impl Ranged for Scale<'_> {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "pixels of a chart; `as` saturates")]
    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let (first, last) = self.0.range;
        let share = if last > first { (value - first) / (last - first) } else { 0.0 };
        limit.0 + (f64::from(limit.1 - limit.0) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.0.ticks.iter().map(|(at, _)| *at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.0.range.0..self.0.range.1
    }
}

impl ValueFormatter<f64> for Scale<'_> {
    fn format_ext(&self, value: &f64) -> String {
        let tick = self.0.ticks.iter().find(|(at, _)| (at - value).abs() < 1e-9);
        tick.map(|(_, label)| label.clone()).unwrap_or_default()
    }
}

/// A chart with its title above and the key of its lines below.
fn picture<B: DrawingBackend>(chart: &Chart, root: &DrawingArea<B, plotters::coord::Shift>) -> Result<(), ChartError> {
    font().map_err(|e| problem(chart, e))?;
    let text = (FONT, FONT_SIZE).into_font().color(&INK);
    let mut widths = Vec::new();
    for line in &chart.lines {
        let (width, _) = root.estimate_text_size(&line.name, &text).map_err(|e| problem(chart, e))?;
        widths.push(width);
    }
    let places = key(&widths, PICTURE.0);
    let rows = places.last().map_or(0, |(_, row)| row + 1);
    let (head, rest) = root.split_vertically(TITLE);
    let (body, foot) = rest.split_vertically(PICTURE.1 - TITLE - rows * ROW - GAP / 2);
    let title = (FONT, FONT_SIZE + 5).into_font().color(&INK);
    let at = |x: u32, y: u32| (i32::try_from(x).unwrap_or(i32::MAX), i32::try_from(y).unwrap_or(i32::MAX));
    head.draw_text(&chart.title, &title, at(GAP, 14)).map_err(|e| problem(chart, e))?;
    on(chart, &body)?;
    for (((x, row), line), colour) in places.into_iter().zip(&chart.lines).zip(Palette::LIGHT) {
        let y = row * ROW + 6;
        let stroke = Rectangle::new([at(x, y + 9), at(x + SAMPLE - 8, y + 12)], colour.filled());
        foot.draw(&stroke).map_err(|e| problem(chart, e))?;
        foot.draw_text(&line.name, &text, at(x + SAMPLE, y)).map_err(|e| problem(chart, e))?;
    }
    Ok(())
}

/// Where the entries of a key stand: from the left, and in how many rows; `widths` are those of their names.
fn key(widths: &[u32], width: u32) -> Vec<(u32, u32)> {
    let (mut x, mut row) = (GAP, 0);
    let place = |name: &u32| {
        let entry = SAMPLE + name;
        if x > GAP && x + entry + GAP > width {
            (x, row) = (GAP, row + 1);
        }
        let at = (x, row);
        x += entry + GAP;
        at
    };
    widths.iter().map(place).collect()
}

fn on<B: DrawingBackend>(chart: &Chart, root: &DrawingArea<B, plotters::coord::Shift>) -> Result<(), ChartError> {
    font().map_err(|e| problem(chart, e))?;
    let mut area = ChartBuilder::on(root)
        .margin_top(14)
        // The name of the axis is turned around its own middle.
        .margin_left(12)
        .margin_right(30)
        .margin_bottom(4)
        .x_label_area_size(56)
        .y_label_area_size(80)
        .build_cartesian_2d(Scale(&chart.x), Scale(&chart.y))
        .map_err(|e| problem(chart, e))?;
    let text = (FONT, FONT_SIZE).into_font().color(&INK);
    area.configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .max_light_lines(0)
        .axis_style(INK.stroke_width(1))
        .label_style(text.clone())
        .axis_desc_style(text.pos(Pos::new(HPos::Center, VPos::Center)))
        .x_desc(chart.x.name)
        .y_desc(chart.y.name)
        .draw()
        .map_err(|e| problem(chart, e))?;
    for (line, colour) in chart.lines.iter().zip(Palette::LIGHT) {
        let points = line.points.iter().copied();
        if line.filled {
            let tint = AreaSeries::new(points.clone(), chart.y.range.0, colour.mix(0.18));
            area.draw_series(tint).map_err(|e| problem(chart, e))?;
        }
        area.draw_series(LineSeries::new(points, colour.stroke_width(2))).map_err(|e| problem(chart, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_picture_stays_inside_it() {
        for (widths, rows) in [(&[40, 50][..], 1), (&[200; 8], 4), (&[900, 10], 2), (&[], 0)] {
            let places = key(widths, PICTURE.0);
            assert_eq!(places.last().map_or(0, |(_, row)| row + 1), rows, "{widths:?}");
            let ends = places.iter().zip(widths).map(|((x, _), width)| x + SAMPLE + width);
            assert!(ends.zip(widths).all(|(end, width)| end <= PICTURE.0 || *width > PICTURE.0 / 2), "{places:?}");
        }
    }
}
