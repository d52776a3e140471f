//! C5, C7, C8, C9: laws with few constants.

use super::{Prediction, Put, within};

pub(super) fn predict(put: &mut Put<'_>) {
    memory(put);
    sharded(put);
    store(put);
    rollouts(put);
}

fn beyond(prediction: Prediction) -> Prediction {
    Prediction { extrapolates: true, ..prediction }
}

/// C5. A cluster cache weighs the same whatever the apps; an app weighs the same on any cluster.
fn memory(put: &mut Put<'_>) {
    const AT_500: [(f64, f64); 3] = [(10.0, 7.00), (15.0, 7.85), (25.0, 8.11)];
    const AT_100: f64 = 3.61;
    let cluster = (AT_500[0].1 - AT_100) / 400.0;
    let mean = |of: fn(&(f64, f64)) -> f64| AT_500.iter().map(of).sum::<f64>() / 3.0;
    let (apps, bytes) = (mean(|p| p.0), mean(|p| p.1));
    let both: f64 = AT_500.iter().map(|p| (p.0 - apps) * (p.1 - bytes)).sum();
    let square: f64 = AT_500.iter().map(|p| (p.0 - apps).powi(2)).sum();
    let at_500 = |thousands: f64| bytes + both / square * (thousands - apps);
    let how = "linear in clusters (8.7 MB each) and apps (70 KB each, least squares); the apps' share is noisy, for the \
               collector decides";
    put("C5.10k_250", within(AT_100 + cluster * 150.0, 0.88, 1.15, "GiB", how));
    put("C5.20k_500", within(at_500(20.0), 0.93, 1.1, "GiB", how));
    put("C5.30k_500", beyond(within(at_500(30.0), 0.92, 1.18, "GiB", how)));
    put("C5.50k_500", beyond(within(at_500(50.0), 0.85, 1.35, "GiB", how)));
}

/// C7. Five workers per instance; a change takes them a while, and longer with each instance on the shared API servers.
/// Load grows by ten objects a second, each changed twice a minute.
fn sharded(put: &mut Put<'_>) {
    const WORKERS: f64 = 5.0;
    let (one, three) = (WORKERS / 74.8, 3.0 * WORKERS / 169.1);
    let growth = (three - one) / 2.0;
    let capacity = |n: f64| n * WORKERS / (one + growth * (n - 1.0));
    // The load passes a capacity when so many objects exist.
    let breach = |capacity: f64| 225.0 + (capacity - 74.8) / ((169.1 - 74.8) / (510.0 - 225.0));
    let how = "a service time per change that grows by 11 ms with each instance; two points fix both constants, so the \
               saturation of the API servers beyond three is a guess";
    for (id, n, low, high) in [("n2", 2.0, 0.93, 1.1), ("n4", 4.0, 0.88, 1.12), ("n5", 5.0, 0.8, 1.18)] {
        let changes = capacity(n);
        put(&format!("C7.{id}"), Prediction { extrapolates: n > 3.0, ..within(changes, low, high, "changes/s", how) });
        let at = within(breach(changes), low - 0.03, high + 0.03, "s", how);
        put(&format!("C7.{id}.breach"), Prediction { extrapolates: n > 3.0, ..at });
    }
}

/// C8. Ten users in a closed loop: a rate is ten over the mean time.
fn store(put: &mut Put<'_>) {
    // Two levels deeper at most in a tree of pages; the rest is the collector with four times the live objects.
    let create = 1094.0 * 0.95;
    put(
        "C8.create256k",
        beyond(within(create, 0.78, 1.06, "per s", "the rate at 64k, less 5 % for a larger heap and store")),
    );
    // 256k are 52 pages instead of 13. A page also counts the keys that remain: 0.4 us each, assumed.
    let page = 4.5 / 13.0 + (256_000.0 - 64_000.0) / 2.0 * 0.4e-6;
    let how = "52 pages; each also counts the remaining keys in etcd, 96,000 more on average at 0.4 us (assumed)";
    put("C8.list256k", beyond(within(page * 52.0, 0.88, 1.5, "s", how)));
}

/// C9. What no mechanism of this program reaches; costs given with the question, and wide intervals.
fn rollouts(put: &mut Put<'_>) {
    // 1,000 placements x 100 clusters: a binding and a work each; 3.2 to 7.4 KB per object.
    let objects = 2.0 * 100_000.0;
    let how =
        "a binding and a work per placement and cluster, 5.3 KB each; how often etcd keeps older versions is not known";
    put("C9.etcd.1000placements", beyond(within(objects * 5.3e3 / 1e9, 0.4, 2.5, "GB", how)));
    // Every binding and work is looked at once after a restart: two calls each at some 250/s.
    let how =
        "two calls per binding and work at 250/s, the agent's usual limit; concurrency and back-off are not modelled";
    put("C9.resync.1000placements", beyond(within(objects * 2.0 / 250.0 / 60.0, 0.15, 2.0, "min", how)));
    let how = "the 18 s of the first placement, a little more for longer lists; the members' poll is most of it";
    put("C9.one_more", beyond(within(20.0, 0.75, 2.5, "s", how)));
    let per_item = (8.1 - 2.42) / 80.0;
    put("C9.maestro50", within(2.42 + 30.0 * per_item, 0.9, 1.1, "s", "a line through 20 and 100 items"));
    // 2,550 deployments at +20 s; every agent then installs 50 charts, about one a second.
    let how = "+20 s and 50 installs one after the other on each agent at about a second each; nothing of the agent is modelled";
    put("C9.fleet.ready", beyond(within(70.0, 0.5, 2.8, "s", how)));
}
