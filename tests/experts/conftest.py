from xrl.experts.backend import prepare

prepare()
