using Xunit.v3;

// Several of these tests only wait for real time: more of them than processors can run at once.
[assembly: Parallelization(MaxThreads = 4)]
