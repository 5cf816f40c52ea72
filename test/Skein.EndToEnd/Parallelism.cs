using Xunit.v3;

// Each collection keeps a cluster of processes busy; more of them at a time only wait for each other's processors.
[assembly: Parallelization(MaxThreads = 2)]
