//! A page of verdicts, tables and curves, for whoever draws a conclusion from several results.

use super::{first_upper, framed, shell};
use crate::measure::Histogram;
use crate::report::charts::{curve, percentiles, svg};
use maud::html;

/// What a page shows.
#[derive(Debug, Default)]
pub struct Sheet<'a> {
    /// Its title.
    pub title: String,
    /// The verdict, and how good that is.
    pub verdict: (&'a str, Mood),
    /// What it rests on.
    pub sentences: Vec<String>,
    /// Top to bottom.
    pub sections: Vec<Section<'a>>,
}

/// How good something is, as a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it shall be.
    #[default]
    Good,
    /// Nobody knows.
    Fair,
    /// As it shall not be.
    Bad,
}

impl Mood {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Bad => "bad",
        }
    }
}

/// A part of a page.
#[derive(Debug, Default)]
pub struct Section<'a> {
    /// Its heading.
    pub heading: String,
    /// The verdict, and how good that is.
    pub verdict: (&'a str, Mood),
    /// What is to be said.
    pub sentences: Vec<String>,
    /// Curves over percentiles: a title, then names and samples of the lines.
    pub curves: Vec<(String, Vec<(String, &'a Histogram)>)>,
    /// Tables.
    pub tables: Vec<Grid<'a>>,
}

/// A table of texts.
#[derive(Debug, Default)]
pub struct Grid<'a> {
    /// What it shows.
    pub heading: &'a str,
    /// The heads of its columns.
    pub head: &'a [&'a str],
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

/// The page.
#[must_use]
pub fn sheet_page(sheet: &Sheet<'_>) -> String {
    let body = html! {
        header {
            h1 { (sheet.title) " " span.badge.(sheet.verdict.1.class()) { (sheet.verdict.0) } }
            @for sentence in &sheet.sentences { p.verdict { (first_upper(sentence)) "." } }
        }
        main {
            @for (n, section) in sheet.sections.iter().enumerate() {
                section {
                    h2 { (section.heading) " " span.badge.(section.verdict.1.class()) { (section.verdict.0) } }
                    ul { @for sentence in &section.sentences { li { (first_upper(sentence)) "." } } }
                    div.charts {
                        @for (m, (title, lines)) in section.curves.iter().enumerate() {
                            @let lines = lines.iter().map(|(name, of)| curve(name, of)).collect();
                            @let chart = percentiles("curves", title, lines);
                            @let names = chart.lines.iter().map(|line| line.name.as_str());
                            (framed(&format!("curves-{n}-{m}"), &chart.title, chart.note, &svg(&chart), names, &html! {}))
                        }
                    }
                    @for grid in &section.tables {
                        h3 { (grid.heading) }
                        div.scroll { table {
                            thead { tr { @for cell in grid.head { th { (cell) } } } }
                            tbody { @for row in &grid.rows { tr {
                                @for (n, cell) in row.iter().enumerate() { @if n == 0 { th { (cell) } } @else { td { (cell) } } }
                            } } }
                        } }
                    }
                }
            }
        }
        footer { p { "flamboyance " (env!("CARGO_PKG_VERSION")) } }
    };
    shell(&sheet.title, &body)
}
