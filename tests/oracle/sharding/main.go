// Asks Argo CD's own package controller/sharding who owns which cluster, and prints what it says.
//
//	go mod init oracle && go get github.com/argoproj/argo-cd/v3@v3.2.0   # with the replace block of its go.mod
//	go run . > argo-cd.txt        # the vectors: one line per case (Go modules and a C-free toolchain, 5 minutes)
//	go run . time 600 20          # seconds that one recompute of consistent-hashing takes: clusters, shards
//	go run . ask < cases          # answers cases on standard input, for tests/it/sharding.rs
//
// A case is `scheme shards clusters ids apps extra`; `answer` in this file and `Case` in the test make the same clusters of it.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/argoproj/argo-cd/v3/controller/sharding"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/sirupsen/logrus"
)

// The id of a cluster: its number, or a hash of it in the shape of a uid.
func id(kind string, n int) string {
	if kind == "number" {
		return strconv.Itoa(n)
	}
	h := fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprintf("cluster-%d", n))))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}

// How many apps a cluster has.
func apps(kind string, n int) int {
	switch kind {
	case "one":
		return 1
	case "some":
		return n * 7 % 5
	case "heavy":
		if n == 3 {
			return 50
		}
		return 1
	}
	return 0
}

// The clusters and Applications of a case; `pins` gives every fifth cluster a shard, some of which do not exist; `in-cluster`
// adds Argo CD's own cluster, which has no Secret and so no id.
func world(shards, count int, ids, load, extra string) (*v1alpha1.ClusterList, *v1alpha1.ApplicationList) {
	clusters, applications := &v1alpha1.ClusterList{}, &v1alpha1.ApplicationList{}
	for n := 0; n < count; n++ {
		cluster := v1alpha1.Cluster{ID: id(ids, n), Server: fmt.Sprintf("https://%d.example.com", n)}
		if extra == "pins" && n%5 == 2 {
			shard := int64(n % (shards + 2))
			cluster.Shard = &shard
		}
		for a := 0; a < apps(load, n); a++ {
			app := v1alpha1.Application{}
			app.Name = fmt.Sprintf("app-%d-%d", n, a)
			app.Spec.Destination.Server = cluster.Server
			applications.Items = append(applications.Items, app)
		}
		clusters.Items = append(clusters.Items, cluster)
	}
	if extra == "in-cluster" {
		clusters.Items = append(clusters.Items, v1alpha1.Cluster{ID: "", Server: v1alpha1.KubernetesInternalAPIServerAddr})
	}
	return clusters, applications
}

func cache(scheme string, shard, shards int, clusters *v1alpha1.ClusterList, apps *v1alpha1.ApplicationList) sharding.ClusterShardingCache {
	c := sharding.NewClusterSharding(nil, shard, shards, scheme)
	c.Init(clusters, apps)
	return c
}

// The case and the shard of every cluster. With `stale` the shards scale from `shards` to one more while the old pods run
// on: how many pods work on each cluster. With `lost`: how many pods work on an app whose cluster is unknown.
func answer(line string) string {
	f := strings.Fields(line)
	shards, _ := strconv.Atoi(f[1])
	count, _ := strconv.Atoi(f[2])
	clusters, apps := world(shards, count, f[3], f[4], f[5])
	said := []string{}
	switch f[5] {
	case "stale", "lost":
		pods := []sharding.ClusterShardingCache{}
		for shard := 0; shard < shards; shard++ {
			pods = append(pods, cache(f[0], shard, shards, clusters, apps))
		}
		if f[5] == "stale" {
			pods = append(pods, cache(f[0], shards, shards+1, clusters, apps))
		}
		for n := range clusters.Items {
			cluster := &clusters.Items[n]
			if f[5] == "lost" {
				cluster = nil
			}
			owners := 0
			for _, pod := range pods {
				if pod.IsManagedCluster(cluster) {
					owners++
				}
			}
			said = append(said, strconv.Itoa(owners))
		}
	default:
		distribution := cache(f[0], 0, shards, clusters, apps).GetDistribution()
		for _, cluster := range clusters.Items {
			said = append(said, strconv.Itoa(distribution[cluster.Server]))
		}
	}
	return line + " = " + strings.Join(said, ",")
}

func cases() []string {
	lines := []string{}
	counts := []int{}
	for shards := 1; shards <= 24; shards++ {
		counts = append(counts, shards)
	}
	for _, shards := range append(counts, 32, 64, 100) {
		for _, ids := range []string{"uid", "number"} {
			for _, clusters := range []int{1, 10, 200} {
				for _, extra := range []string{"-", "in-cluster", "pins"} {
					lines = append(lines, fmt.Sprintf("legacy %d %d %s - %s", shards, clusters, ids, extra))
					lines = append(lines, fmt.Sprintf("round-robin %d %d %s - %s", shards, clusters, ids, extra))
				}
			}
		}
		clusters := 60
		if shards > 24 {
			clusters = 20
		}
		for _, load := range []string{"-", "one", "some", "heavy"} {
			lines = append(lines, fmt.Sprintf("consistent-hashing %d %d uid %s -", shards, clusters, load))
		}
		for _, extra := range []string{"in-cluster", "pins"} {
			lines = append(lines, fmt.Sprintf("consistent-hashing %d %d uid some %s", shards, clusters/2, extra))
		}
		lines = append(lines, fmt.Sprintf("consistent-hashing %d 12 number one -", shards))
	}
	for _, shards := range []int{2, 3, 4, 9} {
		for _, scheme := range []string{"legacy", "round-robin", "consistent-hashing"} {
			lines = append(lines, fmt.Sprintf("%s %d 40 uid one stale", scheme, shards))
			lines = append(lines, fmt.Sprintf("%s %d 2 uid one lost", scheme, shards))
		}
	}
	return lines
}

func main() {
	logrus.SetOutput(io.Discard)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	switch {
	case len(os.Args) > 3 && os.Args[1] == "time":
		count, _ := strconv.Atoi(os.Args[2])
		shards, _ := strconv.Atoi(os.Args[3])
		clusters, apps := world(shards, count, "uid", "one", "-")
		start := time.Now()
		cache("consistent-hashing", 0, shards, clusters, apps)
		fmt.Fprintf(out, "%.3f\n", time.Since(start).Seconds())
	case len(os.Args) > 1 && os.Args[1] == "ask":
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			fmt.Fprintln(out, answer(in.Text()))
		}
	default:
		fmt.Fprintln(out, "# argo-cd v3.2.0, package controller/sharding, printed by tests/oracle/sharding/main.go")
		for _, line := range cases() {
			fmt.Fprintln(out, answer(line))
		}
	}
}
