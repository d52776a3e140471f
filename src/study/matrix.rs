//! A matrix: one scenario, and everything that a study varies in it.
//!
//! In: the axes of a scenario. Out: its cells, each with the overrides that make it, and each read and checked. Pure.

use crate::scenario::{self, Axis, Errors, Scenario};

/// One combination of points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The names of its points: `sharded-10000`. It is the name of its result.
    pub name: String,
    /// Its point on each axis.
    pub points: Vec<usize>,
    /// The overrides that make it.
    pub sets: Vec<String>,
}

/// A combination that makes no scenario.
#[derive(Debug)]
pub struct BadCell {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub errors: Errors,
}

/// All combinations, the last axis varying fastest.
#[must_use]
pub fn cells(axes: &[Axis]) -> Vec<Cell> {
    let first = Cell { name: String::new(), points: Vec::new(), sets: Vec::new() };
    axes.iter().fold(vec![first], |cells, axis| {
        let with = |cell: &Cell| {
            let cell = cell.clone();
            axis.points.iter().enumerate().map(move |(at, point)| {
                let name =
                    if cell.name.is_empty() { point.name.clone() } else { format!("{}-{}", cell.name, point.name) };
                let points = cell.points.iter().copied().chain([at]).collect();
                Cell { name, points, sets: [cell.sets.as_slice(), &point.sets].concat() }
            })
        };
        cells.iter().flat_map(with).collect()
    })
}

/// A restriction that restricts nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRestriction {
    /// It is not of the form.
    #[error("`{0}` is no restriction: write AXIS=POINT,POINT")]
    Form(String),
    /// There is no such axis.
    #[error("the matrix has no axis `{axis}`, it has {known}")]
    Axis {
        /// As written.
        axis: String,
        /// Those that exist.
        known: String,
    },
    /// The axis has no such point.
    #[error("axis `{axis}` has no point `{point}`, it has {known}")]
    Point {
        /// Which axis.
        axis: String,
        /// As written.
        point: String,
        /// Those that exist.
        known: String,
    },
}

/// Leaves only some points on an axis: `clusters=1000,10000`.
///
/// # Errors
/// When the axis or a point does not exist.
pub fn restrict(axes: &mut [Axis], only: &str) -> Result<(), BadRestriction> {
    let (name, points) = only.split_once('=').ok_or_else(|| BadRestriction::Form(only.to_owned()))?;
    let known = axes.iter().map(|axis| axis.name.as_str()).collect::<Vec<_>>().join(", ");
    let axis = axes.iter_mut().find(|axis| axis.name == name);
    let axis = axis.ok_or_else(|| BadRestriction::Axis { axis: name.to_owned(), known })?;
    let wanted: Vec<&str> = points.split(',').collect();
    if let Some(absent) = wanted.iter().find(|wanted| !axis.points.iter().any(|point| point.name == **wanted)) {
        let known = axis.points.iter().map(|point| point.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(BadRestriction::Point { axis: name.to_owned(), point: (*absent).to_owned(), known });
    }
    axis.points.retain(|point| wanted.contains(&point.name.as_str()));
    Ok(())
}

/// The scenario of every cell.
///
/// # Errors
/// The first combination that makes none.
pub fn scenarios(text: &str, file: &str, sets: &[String], axes: &[Axis]) -> Result<Vec<(Cell, Scenario)>, BadCell> {
    let read = |cell: Cell| match scenario::parse(text, file, &[sets, &cell.sets].concat()) {
        Ok(scenario) => Ok((cell, scenario)),
        Err(errors) => Err(BadCell { name: cell.name, errors }),
    };
    cells(axes).into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = r#"
apiVersion: flamboyance.dev/v1alpha1
kind: Scenario
metadata: { name: varied }
spec:
  addons: [{ name: ingress, source: { git: { url: "https://git.example.org/i.git" } }, versions: [v1] }]
  timeline: [{ change: { install: {} } }]
  matrix:
    - axis: topology
      points:
        - { name: single }
        - { name: four, set: [topology.kind=sharded, topology.shards=4] }
    - axis: clusters
      points: [{ name: "10", set: [fleet.clusters=10] }, { name: "SIZE", set: [fleet.clusters=SIZE] }]
"#;

    fn read(size: &str) -> Result<Vec<(Cell, Scenario)>, BadCell> {
        let text = SCENARIO.replace("SIZE", size);
        let axes = scenario::parse(&text, "varied.yaml", &[]).unwrap().matrix;
        scenarios(&text, "varied.yaml", &[], &axes)
    }

    #[test]
    fn every_point_meets_every_other_and_the_matrix_is_no_part_of_what_it_makes() {
        let all = read("20").unwrap();
        let seen: Vec<_> =
            all.iter().map(|(cell, made)| (cell.name.as_str(), made.topology.shards, made.fleet.clusters)).collect();
        assert_eq!(seen, [("single-10", 1, 10), ("single-20", 1, 20), ("four-10", 4, 10), ("four-20", 4, 20)]);
        // Another point leaves the results of the others valid.
        assert_eq!(all[0].1.hash, read("30").unwrap()[0].1.hash);
        assert_ne!(all[0].1.hash, all[1].1.hash);
    }

    #[test]
    fn an_axis_is_restricted_to_points_that_exist() {
        let mut axes = scenario::parse(&SCENARIO.replace("SIZE", "20"), "varied.yaml", &[]).unwrap().matrix;
        for bad in ["clusters", "size=10", "clusters=30"] {
            assert!(restrict(&mut axes, bad).is_err(), "{bad}");
        }
        restrict(&mut axes, "clusters=20").unwrap();
        assert_eq!(cells(&axes).iter().map(|cell| cell.name.as_str()).collect::<Vec<_>>(), ["single-20", "four-20"]);
    }

    #[test]
    fn a_combination_that_makes_no_sense_is_named() {
        let bad = read("3").unwrap_err();
        assert_eq!(bad.name, "four-3");
        assert!(bad.errors.to_string().contains("error"), "{}", bad.errors);
    }
}
