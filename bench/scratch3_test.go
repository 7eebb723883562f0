package bench
import ("os/exec";"fmt";"os")
func perfOn(pid uint32, name string, f func()) {
	out := "/tmp/perf-"+name+".data"
	cmd := exec.Command("perf","record","-e","cpu-clock","-F","5000","-g","-o",out,"-p",fmt.Sprint(pid))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil { panic(err) }
	f()
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
}
