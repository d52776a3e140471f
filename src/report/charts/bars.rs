//! Bars side by side: one group per place, one colour per series.

use super::draw::{ChartError, FONT, FONT_SIZE, GRID, INK, Palette, SIZE, Scale, font};
use super::figures::{Axis, linear};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// One colour of bars.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Series {
    /// What it is, for the legend.
    pub(in crate::report) name: String,
    /// One value per group, not negative.
    pub(in crate::report) values: Vec<f64>,
}

/// Bars side by side.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Bars {
    /// File name without extension.
    pub(in crate::report) name: &'static str,
    /// What it shows.
    pub(in crate::report) title: String,
    /// How to read it.
    pub(in crate::report) note: &'static str,
    /// What the groups are.
    pub(in crate::report) groups_are: &'static str,
    /// The groups, left to right.
    pub(in crate::report) groups: Vec<String>,
    /// What the height means, with unit.
    pub(in crate::report) unit: &'static str,
    /// At most as many as there are colours.
    pub(in crate::report) series: Vec<Series>,
}

/// At most so many groups have their name written.
const NAMES: usize = 12;

impl Bars {
    /// The bars as SVG without size, so that the page decides.
    pub(in crate::report) fn svg(&self) -> Result<String, ChartError> {
        let mut text = String::new();
        {
            let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
            self.on(&root)?;
            root.present().map_err(|e| self.problem(e))?;
        }
        let sized = format!(r#"<svg width="{}" height="{}" "#, SIZE.0, SIZE.1);
        let head = format!(r#"<svg role="img" aria-label="{}" "#, self.title);
        Ok(text.replacen(&sized, &head, 1))
    }

    fn problem(&self, error: impl std::fmt::Display) -> ChartError {
        ChartError::new(self.name, error.to_string())
    }

    fn axes(&self) -> (Axis, Axis) {
        let every = self.groups.len().div_ceil(NAMES).max(1);
        let named = self.groups.iter().enumerate().step_by(every);
        let ticks = named.map(|(at, name)| (at as f64 + 0.5, name.clone())).collect();
        let x = Axis { name: self.groups_are, range: (0.0, self.groups.len().max(1) as f64), ticks };
        let highest = self.series.iter().flat_map(|series| &series.values).copied().fold(0.0, f64::max);
        (x, linear(self.unit, (0.0, highest)))
    }

    /// Draws the bars on an area.
    pub(in crate::report) fn on<B: DrawingBackend>(
        &self,
        root: &DrawingArea<B, plotters::coord::Shift>,
    ) -> Result<(), ChartError> {
        font().map_err(|e| self.problem(e))?;
        let (x, y) = self.axes();
        let mut area = ChartBuilder::on(root)
            .margin_top(14)
            .margin_right(30)
            .margin_bottom(4)
            .x_label_area_size(56)
            .y_label_area_size(84)
            .build_cartesian_2d(Scale(&x), Scale(&y))
            .map_err(|e| self.problem(e))?;
        let text = (FONT, FONT_SIZE).into_font().color(&INK);
        area.configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .max_light_lines(0)
            .axis_style(INK.stroke_width(1))
            .label_style(text.clone())
            .axis_desc_style(text.pos(Pos::new(HPos::Center, VPos::Center)))
            .x_desc(x.name)
            .y_desc(y.name)
            .draw()
            .map_err(|e| self.problem(e))?;
        // A fifth of each group stays empty, half of it on either side.
        let width = 0.8 / self.series.len().max(1) as f64;
        for (index, (series, colour)) in self.series.iter().zip(Palette::LIGHT).enumerate() {
            let bar = |(at, value): (usize, &f64)| {
                let left = at as f64 + 0.1 + width * index as f64;
                Rectangle::new([(left, 0.0), (left + width, *value)], colour.filled())
            };
            area.draw_series(series.values.iter().enumerate().map(bar)).map_err(|e| self.problem(e))?;
        }
        Ok(())
    }
}
