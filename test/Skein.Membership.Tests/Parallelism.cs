using Xunit.v3;

// Several of these tests only wait for real time to pass: they need places, and no processors.
[assembly: Parallelization(MaxThreads = 4)]
