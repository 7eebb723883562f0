package perimeter_test
import ("testing";"time";"sort";"github.com/redoubt-dev/redoubt/layer/perimeter";"net/http";"net/http/httptest")
func TestZZ(t *testing.T){
 w:=newWorld(t, perimeter.Times{}); w.connect(hello); w.connect(hello)
 for _,h2:=range []bool{false,true}{
 c:=w.client(h2); var d []time.Duration
 for range 300 { b:=time.Now(); w.get(c,"/"); d=append(d,time.Since(b)) }
 sort.Slice(d,func(i,j int)bool{return d[i]<d[j]})
 t.Log(h2,d[0],d[150],d[290],d[299])
 }
 s:=httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,r *http.Request){time.Sleep(2*time.Millisecond)}))
 var d []time.Duration
 for range 300 { b:=time.Now(); r,_:=http.Get(s.URL); r.Body.Close(); d=append(d,time.Since(b)) }
 sort.Slice(d,func(i,j int)bool{return d[i]<d[j]})
 t.Log("plain",d[0],d[150],d[290],d[299])
}
