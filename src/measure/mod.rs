//! What happened: histograms, hops, resources, warnings.
