//! `sweep SCENARIO`: a matrix on many machines, as an Indexed Job of Kubernetes.

use super::Failure;
use super::compare::matrix::Matrix;
use super::run::ClockArg;
use crate::backend::submit::{self, SubmitError};
use crate::study::sweep::{self, Order};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Emit {
    /// A ConfigMap with the scenario and an Indexed Job, as YAML for `kubectl apply -f -`
    Job,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["emit", "submit", "index", "merge"])))]
pub(super) struct Args {
    /// The scenario file, which has a matrix
    scenario: String,
    /// Print what runs it on a cluster, a pod per combination
    #[arg(long, value_enum, requires = "image", requires = "claim")]
    emit: Option<Emit>,
    /// Create the same on the cluster of a kubeconfig
    #[arg(long, requires = "image", requires = "claim", requires = "kubeconfig")]
    submit: bool,
    /// Run one combination, the N-th of --points from 0: what a pod does
    #[arg(long, value_name = "N", requires = "out")]
    index: Option<usize>,
    /// Say what the results in this folder come to, or which combinations are lost
    #[arg(long, value_name = "DIR")]
    merge: Option<PathBuf>,
    /// What time is
    #[arg(long, value_enum, default_value_t)]
    clock: ClockArg,
    /// Override a value of the scenario everywhere (may be repeated)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Only these points of an axis, such as clusters=1000,10000 (may be repeated)
    #[arg(long, value_name = "AXIS=POINT,..")]
    only: Vec<String>,
    /// Only these combinations, by number from 0 [default: all]
    #[arg(long, value_name = "N,..", value_delimiter = ',')]
    points: Vec<usize>,
    /// Folder of the results
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Image of this program for the pods
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// PersistentVolumeClaim that takes the results; pods on several nodes need one that many may write to
    #[arg(long, value_name = "NAME")]
    claim: Option<String>,
    /// Namespace of the Job
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Pods at the same time
    #[arg(long, value_name = "N", default_value_t = 10)]
    parallelism: usize,
    /// CPU of each pod
    #[arg(long, value_name = "QUANTITY", default_value = "2")]
    cpu: String,
    /// Memory of each pod
    #[arg(long, value_name = "QUANTITY", default_value = "4Gi")]
    memory: String,
    /// Kubeconfig of the cluster for --submit
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Its context; the current one by default
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let matrix = Matrix::read(&args.scenario, args.clock, &args.sets, &args.only)?;
    let points = points(args, &matrix)?;
    if let (Some(index), Some(out)) = (args.index, &args.out) {
        let Some(&point) = points.get(index) else {
            let last = points.len().saturating_sub(1);
            return Err(Failure::input(miette::miette!("there is no combination {index} here: they are 0 to {last}")));
        };
        std::fs::create_dir_all(out)?;
        let play = matrix.at(out, point)?;
        // A pod that is tried again after it was done has nothing to do.
        if !play.done {
            matrix.one(&play)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(folder) = &args.merge {
        return merge(args, &matrix, folder);
    }
    let documents = sweep::documents(&order(args, &matrix, points));
    let mut out = std::io::stdout().lock();
    if let (true, Some(kubeconfig)) = (args.submit, &args.kubeconfig) {
        let namespace = submit::create(kubeconfig, args.context.as_deref(), &documents).map_err(not_submitted)?;
        let name = documents[1]["metadata"]["name"].as_str().unwrap_or_default();
        writeln!(
            out,
            "job.batch/{name} created in {namespace}; `kubectl -n {namespace} wait --for=condition=complete job/{name}`"
        )?;
    } else {
        for document in &documents {
            write!(out, "---\n{}", super::output::yaml(document)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn points(args: &Args, matrix: &Matrix) -> Result<Vec<usize>, Failure> {
    if args.points.is_empty() {
        return Ok((0..matrix.len()).collect());
    }
    match args.points.iter().find(|point| **point >= matrix.len()) {
        Some(point) => {
            let last = matrix.len() - 1;
            Err(Failure::input(miette::miette!("the matrix has no combination {point}: they are 0 to {last}")))
        }
        None => Ok(args.points.clone()),
    }
}

fn order<'a>(args: &'a Args, matrix: &'a Matrix, points: Vec<usize>) -> Order<'a> {
    let mut flags = vec!["--clock".to_owned(), args.clock.name().to_owned()];
    flags.extend(args.sets.iter().flat_map(|set| ["--set".to_owned(), set.clone()]));
    flags.extend(args.only.iter().flat_map(|only| ["--only".to_owned(), only.clone()]));
    Order {
        name: &matrix.whole.name,
        scenario: &matrix.text,
        flags,
        points,
        image: args.image.as_deref().unwrap_or_default(),
        claim: args.claim.as_deref().unwrap_or_default(),
        namespace: args.namespace.as_deref(),
        parallelism: args.parallelism,
        cpu: &args.cpu,
        memory: &args.memory,
    }
}

/// The study, if everything is there; else what is lost, and how to run that alone.
fn merge(args: &Args, matrix: &Matrix, folder: &std::path::Path) -> Result<ExitCode, Failure> {
    let plays = matrix.plays(folder)?;
    let lost: Vec<usize> = (0..plays.len()).filter(|&point| !plays[point].done).collect();
    if lost.is_empty() {
        return matrix.tell(&plays, (matrix.usual_noise(), None), (folder, None));
    }
    let mut out = std::io::stdout().lock();
    for &point in &lost {
        writeln!(out, "lost: {point} {}", plays[point].cell.name)?;
    }
    let points = sweep::listed(&lost);
    writeln!(
        std::io::stderr(),
        "{} of {} combinations are lost: `flamboyance sweep {} --points {points} --emit job ...` runs them again, \
         `flamboyance compare {} --out {}` does so here",
        lost.len(),
        plays.len(),
        args.scenario,
        args.scenario,
        folder.display()
    )?;
    Ok(ExitCode::from(1))
}

fn not_submitted(error: SubmitError) -> Failure {
    match error {
        SubmitError::Exists { .. } | SubmitError::Kubeconfig { .. } => Failure::input(miette::Report::from_err(error)),
        _ => Failure::environment(miette::Report::from_err(error)),
    }
}
