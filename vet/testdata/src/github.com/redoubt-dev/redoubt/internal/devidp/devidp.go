package devidp
