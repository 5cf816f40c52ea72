using Xunit.v3;

// Several of these tests only wait for real time; more of them at a time would delay each other's gateways.
[assembly: Parallelization(MaxThreads = 2)]
