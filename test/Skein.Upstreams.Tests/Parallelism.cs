using Xunit.v3;

// Most of their time they wait for real time, which is what they are about.
[assembly: Parallelization(MaxThreads = 4)]
