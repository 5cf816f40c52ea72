using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Skein.RoutingBench;

// On a busy machine times include those of other processes: 'cpu' counts this process's own time.
if (args is ["cpu"])
{
    CpuTime.Print();
    return;
}

// In this process: the generated projects of the default toolchain would need the repository's build settings.
var config = DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance));
BenchmarkSwitcher.FromAssembly(typeof(PickBenchmark).Assembly).Run(args, config);
